"""`lanewatch doctor`, and the same checks before every launch."""

from __future__ import annotations

import argparse
from pathlib import Path

from monitor.rundir import runs_root
from runners import config
from runners.doctor.examine import Intended, examine, examine_before_launch
from runners.doctor.values import Check, Examination, Level
from runners.errors import RunnerError
from runners.lanes import get_lane
from runners.launch import LaunchOrder
from runners.recipe.load import load_recipe
from runners.recipe.model import Recipe
from tui.cli import exits
from tui.cli.launching import memory_limit_gib
from tui.cli.output import complain, out, out_json

GIB = 1 << 30
MARKS = {Level.OK: "ok  ", Level.WARN: "WARN", Level.FAIL: "FAIL"}


def doctor_command(options: argparse.Namespace) -> int:
    """Examine machine and recipe, or prove the stack by a run. 1: something failed."""
    if options.prove:
        from tui.cli.proving import prove_command

        return prove_command(options)
    intended = None
    if options.recipe is not None:
        intended = _intended(load_recipe(Path(options.recipe), options.set), options)
    elif options.set:
        raise RunnerError("doctor: --set changes a recipe; name its file as well")
    examination = examine(runs_root(), intended, limit_bytes=_limit_bytes())
    if options.json:
        out_json(examination.to_json() | {"recipe": options.recipe})
    else:
        _tell(examination)
    return exits.OK if examination.ok else exits.FAILED


def _intended(recipe: Recipe, options: argparse.Namespace) -> Intended:
    lane = options.lane or config.get("launch.lane") or "reference"
    return Intended(
        recipe=recipe,
        lane=get_lane(lane).name,
        engine=options.engine or config.get("launch.engine") or "local",
        image=recipe.docker.image or config.get("docker.image") or get_lane(lane).image,
        python=config.get("launch.python"),
        limit_bytes=_recipe_limit(recipe) or _limit_bytes(),
    )


def _limit_bytes() -> int | None:
    gib = memory_limit_gib()
    return int(gib * GIB) if gib else None


def _recipe_limit(recipe: Recipe) -> int | None:
    gib = recipe.memory.limit_gib
    return int(gib * GIB) if gib else None


def _tell(examination: Examination) -> None:
    width = max(len(each.name) for each in examination.checks)
    for each in examination.checks:
        out(f"{MARKS[each.level]}  {each.name:<{width}}  {each.seen}")
        if each.remedy:
            out(f"{'':>{width + 8}}{'->'} {each.remedy}")
    failed, doubtful = examination.failed, examination.of(Level.WARN)
    out(f"{len(examination.checks)} checks: {len(failed)} failed, {len(doubtful)} to think about")


def before_launch(order: LaunchOrder, recipe: Recipe, *, waits: bool) -> Examination:
    """Examine what is cheap; refuse the launch for what fails. Raises RunnerError.

    Warnings go to stderr. With `anyway`, what may be overridden is a warning too.
    """
    limit = _recipe_limit(recipe) or _limit_bytes()
    intended = Intended(
        recipe=recipe,
        lane=order.lane,
        engine=order.engine,
        image=order.image,
        python=order.python,
        limit_bytes=limit,
        waits=waits,
    )
    examination = examine_before_launch(order.root, intended)
    refused = [each for each in examination.failed if not (order.anyway and each.overridable)]
    for each in (*examination.of(Level.WARN), *examination.failed):
        if each not in refused:
            complain(f"{each.name}: {each.sentence}")
    if refused:
        raise RunnerError(_refusal(refused))
    return examination


def _refusal(refused: list[Check]) -> str:
    said = "\n".join(f"{each.name}: {each.sentence}" for each in refused)
    if all(each.overridable for each in refused):
        said += " (--anyway launches all the same)"
    return f"not launched: {said}"
