"""The verdicts of a trace as a list: when each began, why, and whether it became an event. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from monitor.edges import looks_needed
from monitor.model import Liveness
from monitor.replay import Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One verdict, from the look at which it began."""

    at_s: float
    verdict: Liveness
    reason: str
    flags: tuple[str, ...] = ()
    iteration: int | None = None
    iteration_error: int = 0
    limit_s: float | None = None
    recorded_s: float | None = None
    """When a watcher would have made an event of it; None: it did not hold, or is none."""

    def to_json(self) -> dict[str, Any]:
        """The entry as `lanewatch replay --json` gives it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Timeline:
    """All verdicts of a trace, in order."""

    entries: tuple[Entry, ...]
    end_s: float
    """Second of the last look."""


def timeline_of(looks: Iterable[Look], tick_s: float = 1.0) -> Timeline:
    """Return when the verdict or its flags changed."""
    entries: list[Entry] = []
    end_s, word = 0.0, None
    for look in looks:
        end_s = look.at_s
        if look.word != word:
            word = look.word
            entries.append(_entry(look))
    return Timeline(_with_events(entries, end_s, tick_s), end_s)


def _entry(look: Look) -> Entry:
    verdict = look.verdict
    return Entry(
        at_s=round(look.at_s, 3),
        verdict=verdict.liveness,
        reason=verdict.reason,
        flags=verdict.flags,
        iteration=verdict.iteration,
        iteration_error=verdict.iteration_error,
        limit_s=verdict.limit_s,
    )


def _with_events(entries: list[Entry], end_s: float, tick_s: float) -> tuple[Entry, ...]:
    """Tell the verdicts that hold from those that do not, as the watcher's recorder does."""
    marked: list[Entry] = []
    recorded: Liveness | None = None
    spell_s = 0.0
    ends = [after.at_s for _, after in pairwise(entries)] + [end_s + tick_s]
    before: Liveness | None = None
    for entry, until_s in zip(entries, ends, strict=True):
        if entry.verdict is not before:
            spell_s, before = entry.at_s, entry.verdict
        held_s = spell_s + (looks_needed(entry.verdict) - 1) * tick_s
        news = entry.verdict not in (recorded, Liveness.SAVING)
        if news and held_s < until_s:
            recorded = entry.verdict
            marked.append(replace(entry, recorded_s=max(held_s, entry.at_s)))
        else:
            marked.append(entry)
    return tuple(marked)
