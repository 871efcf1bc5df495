"""`lanewatch doctor`: the checks of a machine and a recipe, for a person who waits for them."""

from __future__ import annotations

import argparse
from pathlib import Path

from monitor.rundir import runs_root
from runners import config
from runners.doctor.examine import Intended, examine
from runners.doctor.stack import stack_check
from runners.doctor.values import Check, Examination, Level
from runners.engines import get_engine
from runners.errors import RunnerError
from runners.lanes import get_lane
from runners.recipe.load import load_recipe
from runners.recipe.model import Recipe
from tui.cli import exits
from tui.cli.examining import limit_bytes, machine_limit_bytes
from tui.cli.launching import wheelhouse
from tui.cli.output import out, out_json

MARKS = {Level.OK: "ok  ", Level.WARN: "WARN", Level.FAIL: "FAIL"}


def doctor_command(options: argparse.Namespace) -> int:
    """Examine machine and recipe, or prove the stack by a run. 1: something failed."""
    if options.prove:
        from tui.cli.proving import prove_command

        return prove_command(options)
    engine_of(options)
    intended, more = None, tuple[Check, ...]()
    if options.recipe is not None:
        intended = intended_of(load_recipe(Path(options.recipe), options.set), options)
    elif options.set:
        raise RunnerError("doctor: --set changes a recipe; name its file as well")
    elif options.lane:
        more = (_stack(options),)
    examination = examine(runs_root(), intended, limit_bytes=machine_limit_bytes(), more=more)
    if options.json:
        out_json(examination.to_json() | {"recipe": options.recipe})
    else:
        _tell(examination)
    return exits.OK if examination.ok else exits.FAILED


def lane_of(options: argparse.Namespace) -> str:
    """The lane that the options or the configuration name. Raises RunnerError."""
    return get_lane(options.lane or config.get("launch.lane") or "reference").name


def engine_of(options: argparse.Namespace) -> str:
    """The engine that the options or the configuration name. Raises RunnerError."""
    return get_engine(options.engine or config.get("launch.engine") or "local").name


def intended_of(recipe: Recipe, options: argparse.Namespace) -> Intended:
    """The launch that the options describe. Raises RunnerError."""
    lane = lane_of(options)
    return Intended(
        recipe=recipe,
        lane=lane,
        engine=engine_of(options),
        image=recipe.docker.image or config.get("docker.image") or get_lane(lane).image,
        python=config.get("launch.python"),
        wheelhouse=wheelhouse(),
        limit_bytes=limit_bytes(recipe),
    )


def _stack(options: argparse.Namespace) -> Check:
    lane = get_lane(options.lane)
    return stack_check(
        lane.name,
        engine_of(options),
        image=config.get("docker.image") or lane.image,
        python=config.get("launch.python"),
    )


def _tell(examination: Examination) -> None:
    width = max(len(each.name) for each in examination.checks)
    for each in examination.checks:
        out(f"{MARKS[each.level]}  {each.name:<{width}}  {each.seen}")
        if each.remedy:
            out(f"{'':>{width + 8}}{'->'} {each.remedy}")
    failed, doubtful = examination.failed, examination.of(Level.WARN)
    out(f"{len(examination.checks)} checks: {len(failed)} failed, {len(doubtful)} to think about")
