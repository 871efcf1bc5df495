"""Learn a run's pace from its log and its checkpoints, where it writes no heartbeat.

Pure. The rule: only what was seen to come teaches. What was there when the watch began, or came
while nobody looked, has no known time; it sets a beginning and no interval.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.facts import Facts
from monitor.frozen import replace
from monitor.learnt import WINDOW, Learnt, Outside, with_step
from monitor.limits import LimitConfig, limit_for
from monitor.model import History, Phase, Stage

ALIKE = 1.5
"""Two times are alike within this factor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """The newest finished checkpoint, freed from the lag of a file server."""

    iteration: int
    source: str
    """tracker or checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a look was taken, and what may be concluded from the one before it."""

    observed_s: float
    since_s: float
    """Observed seconds since the look before."""
    gap: bool
    first: bool


def learn_outside(
    learnt: Learnt, facts: Facts, saved: Saved | None, when: Moment, limits: LimitConfig
) -> Learnt:
    """Return what is known after one more look at a run without a heartbeat."""
    if facts.attempt != learnt.outside.attempt:
        # Log and folder still show what the attempt before has reached: no proof of this one.
        learnt = _another(learnt, attempt=facts.attempt, process=None)
        when = replace(when, first=True)
    learnt = _learn_process(learnt, facts)
    if when.gap:
        unknown = replace(learnt.outside, log_at=None, saved_at=None, writing_at=None)
        learnt = replace(learnt, outside=unknown)
    learnt = _learn_log(learnt, facts, when, limits)
    learnt = _learn_saved(learnt, saved, when)
    learnt = _learn_writing(learnt, facts, when)
    return _learn_iteration(learnt, saved)


def _learn_process(learnt: Learnt, facts: Facts) -> Learnt:
    pids = facts.process.pids if facts.process and facts.process.alive else ()
    known = learnt.outside
    if not pids or pids[0] == known.process:
        return learnt
    if known.process is None:  # its process was not seen until now: the same run, named
        return replace(learnt, outside=replace(known, process=pids[0]))
    return _another(learnt, attempt=known.attempt, process=pids[0])


def _another(learnt: Learnt, *, attempt: int, process: int | None) -> Learnt:
    """Another trainer goes on: it has proven nothing yet, and keeps to the pace of the last."""
    known = learnt.outside
    kept = Outside(
        attempt=attempt,
        process=process,
        log_gap_s=known.log_gap_s,
        stepped_s=known.stepped_s,
        stepped=known.stepped,
        saved=known.saved,
        gap_s=known.gap_s,
        least_gap_s=known.least_gap_s,
        gap_iterations=known.gap_iterations,
    )
    return replace(learnt, outside=kept, saves_this_process=0)


def _learn_log(learnt: Learnt, facts: Facts, when: Moment, limits: LimitConfig) -> Learnt:
    """Learn from iterations that the log told of one after another."""
    now = facts.log_progress.iteration if facts.log_progress else None
    known = learnt.outside
    if now is None or now == known.log_iteration:
        return learnt
    before, at = known.log_iteration, known.log_at
    # A resumed run goes on in the same log: the first that it says was said before.
    inherited = before is None and (when.gap or facts.attempt > 1)
    base = replace(
        known,
        log_iteration=now,
        log_at=None if when.first or inherited else when.observed_s,
    )
    count = 0 if before is None else now - before
    if count <= 0 or at is None or when.observed_s <= at:
        return replace(learnt, outside=base)
    return _step(replace(learnt, outside=base), when.observed_s - at, count, limits)


def _step(learnt: Learnt, seconds: float, count: int, limits: LimitConfig) -> Learnt:
    """Take *count* iterations in *seconds* into the pace, unless a stall lay between them.

    What comes again after so long is no stall: an evaluation, of which the log says nothing.
    """
    interval = seconds / count
    limit = limit_for(Stage.TRAIN, Phase.ITERATION, _steps_of(learnt), limits).seconds
    before = learnt.recent[-1] if learnt.recent else None
    learnt = replace(
        learnt,
        recent=(*learnt.recent, interval)[-WINDOW:],
        steps=learnt.steps.add(interval),
        step_count=learnt.step_count + count,
    )
    known = learnt.outside
    paced = replace(
        known,
        stepped_s=known.stepped_s + seconds,
        stepped=known.stepped + count,
        log_gap_s=max(known.log_gap_s or 0.0, seconds),
    )
    if interval > limit and (before is None or before <= limit):
        recurs = known.odd_s is not None and alike(known.odd_s, seconds)
        return replace(learnt, outside=replace(paced if recurs else known, odd_s=seconds))
    return with_step(replace(learnt, outside=paced), interval, is_pace=interval > limit)


def alike(one: float, other: float) -> bool:
    """Whether what came again took about as long as before, as two stalls hardly do."""
    return max(one, other) <= ALIKE * min(one, other)


def _steps_of(learnt: Learnt) -> History:
    return History(step_max_s=learnt.step_max_s, step_count=learnt.step_count)


def _learn_saved(learnt: Learnt, saved: Saved | None, when: Moment) -> Learnt:
    """Learn how far apart checkpoints are, and what the save of this one took."""
    known = learnt.outside
    if saved is None or saved.iteration == known.saved:
        return learnt
    at = None if when.first or when.gap else when.observed_s
    base = replace(known, saved=saved.iteration, saved_at=at, inherited=when.first)
    if known.saved is not None and saved.iteration < known.saved:
        return replace(learnt, outside=base)
    if when.first:
        return replace(learnt, outside=base, saved=saved.iteration)
    if known.saved_at is None and known.first_s is None and not when.gap:
        base = replace(base, first_s=when.observed_s)
    if known.saved is not None:
        apart = saved.iteration - known.saved
        base = replace(base, gap_iterations=max(known.gap_iterations or 0, apart))
    if known.saved_at is not None and at is not None:
        base = _gap(base, at - known.saved_at)
    learnt = replace(learnt, outside=base, saved=saved.iteration)
    took = when.since_s if known.writing_at is None else when.observed_s - known.writing_at
    return learnt if when.gap else _save(learnt, took)


def _gap(known: Outside, seconds: float) -> Outside:
    """A gap of more than twice the largest is a stall that recovered; two in a row are a pace."""
    usual = known.gap_s
    odd = usual is not None and seconds > 2 * usual
    repeated = known.last_gap_s is not None and usual is not None and known.last_gap_s > 2 * usual
    least = seconds if known.least_gap_s is None else min(known.least_gap_s, seconds)
    known = replace(known, last_gap_s=seconds, least_gap_s=least)
    return known if odd and not repeated else replace(known, gap_s=max(usual or 0.0, seconds))


def _save(learnt: Learnt, seconds: float) -> Learnt:
    """Count one save; a process's first one pays for what later ones find ready."""
    saves = learnt.saves_this_process + 1
    learnt = replace(learnt, saves_this_process=saves)
    if saves == 1:
        return replace(learnt, first_save_s=seconds)
    return replace(
        learnt,
        saves=learnt.saves.add(seconds),
        save_max_s=max(learnt.save_max_s or 0.0, seconds),
        save_count=learnt.save_count + 1,
    )


def _learn_writing(learnt: Learnt, facts: Facts, when: Moment) -> Learnt:
    if facts.checkpoints is None:
        return learnt
    known = learnt.outside
    if facts.checkpoints.writing_bytes is None:
        at = None
    elif known.writing_at is not None or when.first or when.gap:
        return learnt
    else:
        at = when.observed_s
    if at == known.writing_at:
        return learnt
    return replace(learnt, outside=replace(known, writing_at=at))


def _learn_iteration(learnt: Learnt, saved: Saved | None) -> Learnt:
    """The highest of log and checkpoint; one from before the watch gives way to the log."""
    known = learnt.outside
    candidates: list[tuple[int, str, float | None]] = []
    if known.log_iteration is not None:
        candidates.append((known.log_iteration, "log", known.log_at))
    inherited = known.inherited and known.log_at is not None
    if saved is not None and known.saved is not None and not (candidates and inherited):
        candidates.append((known.saved, saved.source, known.saved_at))
    if not candidates:
        return learnt
    iteration, source, at = max(candidates, key=lambda each: each[0])
    if iteration == known.iteration:
        return learnt
    proven = replace(known, iteration=iteration, source=source, proven_at=at)
    return replace(learnt, outside=proven)
