"""`lanewatch demo`: a real small fine-tune on this machine's CPU, watched to its end."""

from __future__ import annotations

import argparse
import sys
import time

from monitor.files import read_json
from monitor.probes.clock import read_now
from monitor.rundir import RunDir, runs_root
from monitor.status import read_status
from monitor.status_model import RunStatus
from runners.launch import launch
from runners.recipe.demo import demo_recipe_path
from runners.recipe.load import load_recipe
from tui.cli import exits
from tui.cli.launching import build_order
from tui.cli.output import complain, out
from tui.cli.screen import show_screen
from tui.cli.show import iteration_text, stage_text
from tui.presentation import duration
from tui.state import expected_end

LINE_S = 1.0
"""A progress line each second, so that no two are more than 2 s apart on a busy machine."""


def demo_command(options: argparse.Namespace) -> int:
    """Launch the demo and watch it: in the UI on a terminal, else line by line."""
    options.lane, options.engine = "reference", "local"
    run = launch(build_order(load_recipe(demo_recipe_path(), options.set), options))
    if options.headless or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _follow(run)
    show_screen(runs_root(), run.root.name, read_only=False)
    status = read_status(run.root, now=read_now())
    if not status.final:
        out(f"{run.root.name} goes on; come back with: lanewatch {run.root.name}")
        return exits.OK
    return _tell_end(run, status)


def _follow(run: RunDir) -> int:
    out(f"run {run.root.name} in {run.root}")
    try:
        while True:
            status = read_status(run.root, now=read_now())
            if status.final:
                return _tell_end(run, status)
            out(_progress(status))
            time.sleep(LINE_S)
    except KeyboardInterrupt:
        complain(f"interrupted; {run.root.name} goes on: lanewatch {run.root.name}")
        return exits.INTERRUPTED


def _progress(status: RunStatus) -> str:
    parts = [f"{status.verdict:<9}", f"stage {stage_text(status)}"]
    if status.iteration.value is not None:
        parts.append(f"iteration {iteration_text(status)}")
    if status.loss is not None:
        parts.append(f"loss {status.loss:.4f}")
    if status.step_s is not None:
        parts.append(f"{status.step_s:.2f} s/iteration")
    if status.checkpoints:
        parts.append(f"checkpoint {status.checkpoints[-1].iteration}")
    if (eta := expected_end(status)) is not None:
        parts.append(f"ends in {duration(eta.seconds)}")
    return " | ".join(parts)


def _tell_end(run: RunDir, status: RunStatus) -> int:
    out(f"{status.verdict}: {status.reason}")
    result = read_json(run.result).value or {}
    merged = run.export / "merged-hf-bf16"
    if status.verdict == "finished" and result.get("reloaded") is True:
        out(f"merged and reloaded: {merged}")
    summary = read_json(run.summary).value or {}
    wall = summary.get("train_wall_s")
    if isinstance(wall, int | float):
        out(f"trained {summary.get('iterations')} iterations in {duration(wall)}")
    out(f"look at it: lanewatch {run.root.name}")
    return exits.OK if status.verdict == "finished" else exits.FAILED
