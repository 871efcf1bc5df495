"""How far the memory guard goes, and when: tell, save and stop, stop at once. Pure.

The rule: it goes only as far as the recipe allows, and acts only on a run that explains more than
half of the climb. Whoever is not known to be the cause is not stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from monitor.memory_model import MemoryLevel, MemoryVerdict, is_of_others
from monitor.model import History
from monitor.words import duration


class AtLimit(StrEnum):
    """What a recipe allows (`memory.at_limit`)."""

    NOTIFY = "notify"
    SAVE_AND_STOP = "save-and-stop"
    STOP_NOW = "stop-now"


class Rung(StrEnum):
    """A step of the ladder, from the mildest on."""

    NONE = "none"
    SAVE = "save"
    STOP = "stop"


UNKNOWN_STEP_S = 60.0
UNKNOWN_SAVE_S = 120.0
"""Of a run whose steps and saves were not seen yet."""
EARLY_FACTOR = 2.0
"""Saving begins while there is twice the time that it takes: later it might not end in time."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is due, or why it is not done."""

    rung: Rung
    why: str
    refused: str | None = None
    """The rung would be due, but the guard may or can not."""


def at_limit_from(value: str | None) -> AtLimit:
    """What a run.json says; a word that is not known allows nothing."""
    try:
        return AtLimit(value or AtLimit.NOTIFY)
    except ValueError:
        return AtLimit.NOTIFY


def due(memory: MemoryVerdict, history: History, allowed: AtLimit) -> Step:
    """Return the rung that *memory* calls for."""
    if allowed is AtLimit.NOTIFY or memory.level is MemoryLevel.OK:
        return Step(Rung.NONE, memory.reason)
    if memory.level is MemoryLevel.LIMIT and allowed is AtLimit.STOP_NOW:
        return _of_this_run(Step(Rung.STOP, memory.reason), memory)
    left_s, needed_s = seconds_left(memory), seconds_to_save(history)
    high = memory.level.rank >= MemoryLevel.HIGH.rank
    early = left_s is not None and left_s < EARLY_FACTOR * needed_s
    if not (high or early):
        return Step(Rung.NONE, memory.reason)
    if memory.level is MemoryLevel.LIMIT or (left_s is not None and left_s < needed_s):
        short = f"a step and a save take {duration(needed_s)}"
        short += "" if left_s is None else f", {duration(left_s)} are left"
        return Step(Rung.SAVE, memory.reason, refused=f"there is no time to save: {short}")
    return _of_this_run(Step(Rung.SAVE, memory.reason), memory)


def seconds_left(memory: MemoryVerdict) -> float | None:
    """Seconds to the limit at the present climb; None while nothing climbs."""
    climb = memory.climb_bytes_s
    return None if not climb else memory.headroom_bytes / climb


def seconds_to_save(history: History) -> float:
    """What one more step and a save take."""
    step = history.step_recent_s or history.step_max_s or UNKNOWN_STEP_S
    save = history.save_max_s or history.first_save_s or UNKNOWN_SAVE_S
    return step + save


def _of_this_run(step: Step, memory: MemoryVerdict) -> Step:
    share = memory.run_share
    if share is None:
        return Step(step.rung, step.why, refused="what this run holds cannot be read")
    if is_of_others(share):
        return Step(step.rung, step.why, refused=f"this run explains only {share:.0%} of the climb")
    return step
