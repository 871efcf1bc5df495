"""How many iterations a training has and which of them are saved; kept for every later resume."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .causes import StageError
from .files import encode, read_object, replace
from .job import Calibration, Job

PLAN_FILE = "plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """What the training loop follows."""

    iterations: int
    save_interval: int
    forced_saves: frozenset[int] = frozenset()
    step_s: float | None = None
    """The measured step that the figures were chosen from."""


def given_plan(job: Job) -> TrainingPlan:
    """The plan of a job that says how long it is. Raises StageError when it does not."""
    if job.smoke is not None:
        total, saves = job.smoke.iterations, job.smoke.saves
        forced = frozenset(max(1, round(total * each / saves)) for each in range(1, saves + 1))
        # One past the end: the forced saves are the only ones.
        return TrainingPlan(iterations=total, save_interval=total + 1, forced_saves=forced)
    if job.iterations is None or job.iterations < 1:
        raise StageError("work/job.json names no number of iterations and asks for no measuring")
    return TrainingPlan(
        iterations=job.iterations, save_interval=job.save_interval, forced_saves=job.forced_saves
    )


def choose_plan(steps_s: Sequence[float], calibration: Calibration) -> TrainingPlan:
    """Choose iterations that take about the wanted time, from measured steps.

    The first step, which warms caches up, does not count. The number is a multiple of the
    checkpoints, so that the last save is one of them.
    """
    step_s = statistics.median(steps_s[1:] or steps_s)
    saves = calibration.checkpoints
    wanted = int(calibration.seconds / step_s) if step_s > 0 else 0
    least = -(-calibration.min_iterations // saves)
    interval = max(least, wanted // saves)
    return TrainingPlan(iterations=interval * saves, save_interval=interval, step_s=step_s)


def keep_plan(plan: TrainingPlan, work: Path) -> None:
    """Write *plan* to work/plan.json: a resumed training has the same length. Raises OSError."""
    value = {"schema": 1, "iterations": plan.iterations, "save_interval": plan.save_interval}
    replace(work / PLAN_FILE, encode(value | {"step_s": plan.step_s}), durable=True)


def kept_plan(job: Job) -> TrainingPlan | None:
    """The plan that an earlier attempt chose and kept, or None."""
    value = read_object(job.work / PLAN_FILE)
    if value is None:
        return None
    try:
        return TrainingPlan(
            iterations=max(1, int(value["iterations"])),
            save_interval=max(1, int(value["save_interval"])),
            forced_saves=job.forced_saves,
        )
    except (KeyError, TypeError, ValueError):
        return None
