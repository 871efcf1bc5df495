"""Learn how a log speaks: how long it is silent while iterations are proven. Pure.

The rule: a silence that was called log-stuck teaches nothing, until another one of about its length
follows; a log that comes back twice at the same distance has a pace of its own.
"""

from __future__ import annotations

from monitor.facts import Facts
from monitor.frozen import replace
from monitor.learnt import Learnt
from monitor.limits import SAFETY_FACTOR
from monitor.outside import Moment, alike

LOG_SILENCE_FLOOR_S = 30.0
LEARNT_GROWTHS = 3
BETWEEN_GROWTHS = 3
"""Growths at the usual pace that may lie between two such: one report is of several lines."""


def learn_log(learnt: Learnt, facts: Facts, done: int | None, when: Moment) -> Learnt:
    """Learn how long the log is silent while iterations are proven; *done* of them are now."""
    log = facts.log
    if log is None:
        return learnt
    if log.path == learnt.log_path and log.size_bytes == learnt.log_bytes:
        return _first_proven(learnt, done, when)
    base = replace(
        learnt,
        log_path=log.path,
        log_bytes=log.size_bytes,
        log_at=when.observed_s,
        log_done=done,
    )
    if when.gap or learnt.log_done is None or done is None or log.path != learnt.log_path:
        return base
    spoken = done - learnt.log_done
    silence = when.observed_s - learnt.log_at
    if spoken <= 0 or silence <= 0:
        return base
    if _was_stuck(learnt, silence, spoken) and not _recurs(learnt, silence, spoken):
        return replace(base, log_odd=(silence, spoken, learnt.log_growths))
    return replace(
        base,
        log_cadence_s=max(learnt.log_cadence_s or 0.0, silence),
        log_growths=learnt.log_growths + 1,
        log_gap_iterations=max(learnt.log_gap_iterations, spoken),
    )


def _first_proven(learnt: Learnt, done: int | None, when: Moment) -> Learnt:
    """Before that none was known: what is proven from here on came without a word of the log."""
    if learnt.log_done is not None or done is None:
        return learnt
    return replace(learnt, log_done=done, log_at=when.observed_s)


def _was_stuck(learnt: Learnt, silence: float, spoken: int) -> bool:
    """It was called log-stuck."""
    if learnt.log_cadence_s is None or learnt.log_growths < LEARNT_GROWTHS or spoken < 3:
        return False
    return silence > max(LOG_SILENCE_FLOOR_S, SAFETY_FACTOR * learnt.log_cadence_s)


def _recurs(learnt: Learnt, silence: float, spoken: int) -> bool:
    """The silence before it that was called so was alike, and hardly anything lay between."""
    if learnt.log_odd is None:
        return False
    before_s, before, growths = learnt.log_odd
    if learnt.log_growths - growths > BETWEEN_GROWTHS:
        return False
    return alike(silence, before_s) or alike(spoken, before)
