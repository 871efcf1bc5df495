"""When will training end? Pure.

The rule: what is left is counted in iterations of this run's own pace, in saves and in evaluations
of their own cost; time that an earlier attempt or a wait took is no part of it, so a resumed run
projects as well as a fresh one. What was never seen is named, not guessed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from monitor.costs import USUAL_SPREAD, Cost, Part, cost_of, several, spread_of
from monitor.frozen import replace
from monitor.middle import median
from monitor.model import Checkpoint, History, Phase, Spread

ENOUGH_STEPS = 3
"""The first iterations of a process compile and allocate: too few say nothing."""

PAD = 1.16
"""What a whole run took over the iterations' projection of its smoke run.

From one DGX Spark ("Two Trainers, One LoRA: NeMo Framework Beats Unsloth by 26 %"): with NeMo
20,280 s over 625 x 28.0 s = 17,500 s (10 steps of smoke, x 1.159), with Unsloth 27,265 s over
6 h 30 min (50 steps, x 1.165). Its author puts both down to saves, one in about 70 iterations.
"""

UNSEEN = 2 * (PAD - 1)
"""Share of the iterations' time that the range allows for saves, or evaluations, never seen."""
SIGMAS = 1.645
"""Half of a range that holds nine of ten ends, in standard deviations."""
DRIFT = 0.02
"""Share of what is left that no pace so far could tell: a room that warms up, a neighbour's job."""
SAME_SHARE = 0.1
"""A pace of the last iterations that is off by less is the same pace."""
SAME_SIGMAS = 3.0
MEDIAN_NOISE = 0.56
"""Standard deviation of a median of five, in those of one."""
SAME_DOUBTS = 2.0
ENOUGH_GAPS = 2
SAME_PACE = 2.0
WINDOW = 32
"""Iterations of a new pace after which it is no longer a passing one."""
NORMAL_20_TO_80 = 1.683
"""Width of the middle three fifths of a normal distribution, in standard deviations."""

SAVE = "save cost"
EVALUATION = "evaluation cost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Seconds until the last iteration is done and saved, with the range of nine ends in ten."""

    seconds: float
    low_s: float
    high_s: float
    unknown: tuple[str, ...] = ()
    """What is still to come and was never seen, so that `seconds` lacks it: "save cost"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is known of where a run stands and of what it will still do."""

    iteration: int | None
    total: int | None
    error: int = 0
    """The true iteration is at most this many further."""
    save_interval: int | None = None
    eval_interval: int | None = None
    phase: str | None = None
    since_s: float | None = None
    """Since the last progress; a change of phase is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What others than the watcher measured, in seconds."""

    saves_s: tuple[float, ...] = ()
    """Each save of this process, by the trainer's own clock."""
    evals_s: tuple[float, ...] = ()
    log_step_s: float | None = None
    """An iteration by the log's own words, for a run that no heartbeat tells of."""
    between_saves: Spread | None = None
    """An iteration and its share of saving, from the times of the checkpoints."""


NOTHING = Measured()


def project(course: Course, history: History, measured: Measured = NOTHING) -> Projection | None:
    """Return when the total is reached, or None while the pace is not known."""
    if course.iteration is None or course.total is None:
        return None
    left = max(0, course.total - course.iteration)
    steps = _steps(left, history, measured)
    if steps is None:
        return None
    parts = [steps, _evaluations(course, history, measured.evals_s, steps.seconds)]
    if not _by_checkpoints(history, measured):
        parts.append(_saves(course, history, measured.saves_s, steps.seconds))
    seconds = sum(each.seconds for each in parts)
    under_way = _under_way(course, steps.seconds / left if left else 0.0)
    around = SIGMAS * math.sqrt(sum(each.variance for each in parts)) + DRIFT * seconds
    lower, higher = (sum(each.lower_s for each in parts), sum(each.higher_s for each in parts))
    if course.since_s is None and left:
        lower += course.error * steps.seconds / left
    return Projection(
        seconds=max(0.0, seconds - under_way),
        low_s=max(0.0, seconds - under_way - around - lower),
        high_s=max(0.0, seconds - under_way + around + higher),
        unknown=tuple(each.unknown for each in parts if each.unknown),
    )


def remaining_saves(iteration: int, total: int, save_interval: int | None) -> int:
    """How many saves are still to come; the last iteration is always saved."""
    if iteration >= total:
        return 0
    if not save_interval or save_interval < 1:
        return 1
    regular = total // save_interval - iteration // save_interval
    return regular + (1 if total % save_interval else 0)


def remaining_evals(iteration: int, total: int, eval_interval: int | None) -> int:
    """How many evaluations are still to come; the end is no reason for one."""
    if iteration >= total or not eval_interval or eval_interval < 1:
        return 0
    return total // eval_interval - iteration // eval_interval


def save_interval_of(iterations: Sequence[int]) -> int | None:
    """Iterations between two saves, from the checkpoints that are there; None for fewer than two.

    The usual gap, not the least: a save that was asked for in between makes two short ones.
    """
    ordered = sorted(set(iterations))
    gaps = [later - earlier for earlier, later in pairwise(ordered)]
    return max(sorted(set(gaps), reverse=True), key=gaps.count) if gaps else None


def pace_between(checkpoints: Sequence[Checkpoint]) -> Spread | None:
    """Seconds an iteration, saves included, from when each of *checkpoints* was last written.

    Wall-clock times, held against one another alone; None unless there are two gaps at least. A gap
    that is far longer than the others had a pause in it.
    """
    paces = [
        (later.modified_wall - earlier.modified_wall) / (later.iteration - earlier.iteration)
        for earlier, later in pairwise(checkpoints)
    ]
    if len(paces) < ENOUGH_GAPS or min(paces) <= 0:
        return None
    usual = median(paces)
    return spread_of([each for each in paces if each <= SAME_PACE * usual])


def _steps(left: int, history: History, measured: Measured) -> Part | None:
    """The iterations that are left, at the pace of the whole run or, where it changed, at the new.

    A pace may pass: the range reaches to the other one, in full or, once a new pace lasts, not at
    all.
    """
    whole, now = history.step, history.step_now
    if whole is None or history.step_count < ENOUGH_STEPS:
        told = _told_step(measured)
        return several(left, cost_of(told)) if told else None
    if now is None:
        return several(left, cost_of(whole))
    if not _pace_changed(history):
        usual = cost_of(whole)
        apart = now.mean_s - whole.mean_s
        known = abs(apart) <= SAME_DOUBTS * usual.doubt_s
        return _reaching(several(left, usual), 0.0 if known else left * apart)
    passing = 1.0 - min(1.0, now.count / WINDOW)
    back = (history.step_median_s or now.mean_s) - now.mean_s
    return _reaching(several(left, cost_of(now)), left * back * passing)


def _reaching(part: Part, aside_s: float) -> Part:
    """*part* with its range widened by *aside_s*, downwards where that is negative."""
    lower, higher = max(0.0, -aside_s), max(0.0, aside_s)
    return replace(part, lower_s=lower, higher_s=higher)


def _told_step(measured: Measured) -> Spread | None:
    if measured.log_step_s is not None and measured.log_step_s > 0:
        return Spread(mean_s=measured.log_step_s, deviation_s=0.0, count=1)
    return measured.between_saves


def _by_checkpoints(history: History, measured: Measured) -> bool:
    """The pace is that of the checkpoints: what a save costs is in it already."""
    seen = history.step is not None and history.step_count >= ENOUGH_STEPS
    return not seen and _told_step(measured) is measured.between_saves


def _pace_changed(history: History) -> bool:
    """Whether the last five iterations differ from the run's pace by more than its own jitter."""
    usual, recent = history.step_median_s, history.step_recent_s
    if not usual or not recent:
        return False
    low, high = history.step_low_s or usual, history.step_high_s or usual
    jitter = max(0.0, high - low) / NORMAL_20_TO_80 / usual
    same = 1.0 + SAME_SHARE + SAME_SIGMAS * MEDIAN_NOISE * jitter
    return not usual / same <= recent <= usual * same


def _saves(course: Course, history: History, measured: tuple[float, ...], steps_s: float) -> Part:
    """The saves that are left. A process's first is apart, it pays for what later ones find ready.

    Where none was ever seen, the range allows for twice what others were seen to take.
    """
    count = _saves_to_end(course)
    if not count:
        return Part()
    first, later = _save_costs(history, measured)
    if later is None:
        return Part(higher_s=steps_s * UNSEEN, unknown=SAVE)
    firsts = int(first is not None and not measured and history.saves_this_process == 0)
    rest = several(count - firsts, later)
    apart = firsts * (first or 0.0)
    begun = min(course.since_s or 0.0, apart or later.mean_s) if _saving(course) else 0.0
    return Part(
        seconds=rest.seconds + apart - begun,
        variance=rest.variance + (USUAL_SPREAD * apart) ** 2,
    )


def _saving(course: Course) -> bool:
    return course.phase == Phase.SAVING


def _saves_to_end(course: Course) -> int:
    """Those that are still to end; an iteration's save follows its evaluation."""
    iteration, total, interval = course.iteration or 0, course.total or 0, course.save_interval
    follows = course.phase == Phase.EVALUATING and (
        iteration == total or (interval is not None and iteration % interval == 0)
    )
    return remaining_saves(iteration, total, interval) + int(follows or _saving(course))


def _save_costs(history: History, measured: tuple[float, ...]) -> tuple[float | None, Cost | None]:
    """A process's first save and a later one; of which, after a first alone, half is expected."""
    first = measured[0] if measured else history.first_save_s
    spread = _spread(measured[1:]) or history.save
    if spread is not None:
        return first, cost_of(spread)
    if first is None:
        return None, None
    return first, Cost(first / 2, 0.0, first / 2 / SIGMAS)


@lru_cache(maxsize=8)  # a day has hundreds, and at most looks there is no new one
def _spread(values: tuple[float, ...]) -> Spread | None:
    return spread_of(values)


def _evaluations(
    course: Course, history: History, measured: tuple[float, ...], steps_s: float
) -> Part:
    evaluating = course.phase == Phase.EVALUATING
    count = remaining_evals(course.iteration or 0, course.total or 0, course.eval_interval)
    if not count and not evaluating:
        return Part()
    spread = _spread(measured) or history.evaluation
    if spread is None:
        return Part(higher_s=steps_s * UNSEEN, unknown=EVALUATION)
    cost = cost_of(spread)
    begun = min(course.since_s or 0.0, cost.mean_s) if evaluating else 0.0
    part = several(count + int(evaluating), cost)
    return Part(seconds=part.seconds - begun, variance=part.variance)


def _under_way(course: Course, step_s: float) -> float:
    """What the iterations since the last proven one have taken already."""
    if course.phase in (Phase.SAVING, Phase.EVALUATING):
        return 0.0
    return min(course.since_s or 0.0, (1 + course.error) * step_s)
