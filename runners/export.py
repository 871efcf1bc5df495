"""Export any checkpoint of an ended run: its `merge` stage alone, as an attempt of its own."""

from __future__ import annotations

from monitor.model import Stage
from monitor.probes.checkpoints import read_checkpoints
from monitor.rundir import RunDir
from runners.checkpoint_files import unmergeable
from runners.errors import RunStateError
from runners.launch import start_keeper
from runners.runs import read_run
from runners.stages import Plan


def export_checkpoint(run: RunDir, iteration: int | None) -> int:
    """Start a keeper that merges the checkpoint of *iteration*, or the newest; returns which.

    Raises RunnerError, with the checkpoints that there are where that one is not.
    """
    plan = Plan(run, read_run(run))
    if Stage.MERGE not in [each.stage for each in plan.stages]:
        raise RunStateError(f"run {run.root.name} exports nothing: it was a smoke run")
    chosen = _choose(run, iteration)
    start_keeper(run, "--export", str(chosen))
    return chosen


def _choose(run: RunDir, iteration: int | None) -> int:
    reading = read_checkpoints(run.checkpoints).value
    there = {each.iteration: each.complete for each in (reading.checkpoints if reading else ())}
    if not there:
        raise RunStateError(f"run {run.root.name} has no checkpoint to export")
    faults = {each: _fault(run, each, whole) for each, whole in there.items()}
    usable = [each for each, fault in faults.items() if fault is None]
    wanted = iteration if iteration is not None else max(usable, default=None)
    listed = ", ".join(map(str, usable)) or "none that is whole"
    if wanted is None or wanted not in there:
        named = "" if wanted is None else f" of iteration {wanted}"
        raise RunStateError(f"run {run.root.name} has no checkpoint{named}; it has {listed}")
    if fault := faults[wanted]:
        raise RunStateError(f"checkpoint {wanted} cannot be exported: {fault}; there is {listed}")
    return wanted


def _fault(run: RunDir, iteration: int, whole: bool) -> str | None:
    return unmergeable(run.checkpoint(iteration)) or (None if whole else "it is not whole")
