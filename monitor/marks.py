"""The marks of a run's signals and the clockwork of one look, for `monitor.ages`. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.facts import Facts
from monitor.learnt import Learnt

LAG_S = 120.0
"""A file server's cache may show an old folder or tracker for up to a minute."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a signal last said, and the observed time at which it began to say so.

    `at` is None for what was there when the watch began: nobody knows since when.
    """

    key: str
    at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeState:
    """All marks of one run; kept in watch.json so that a new watcher continues them."""

    boot_id: str = ""
    monotonic_s: float = 0.0
    """Of the last look."""
    observed_s: float = 0.0
    gaps: int = 0
    """How often more than three ticks passed between two looks."""
    gap_s: float = 0.0
    restored: bool = False
    """Read back from disk: the next look is the first of a new watcher."""
    attempt: int = 0
    progress_at: float | None = None
    marks: Mapping[str, Mark] = field(default_factory=dict)
    cpu_s: float | None = None
    written_bytes: float | None = None
    idle_power_w: float | None = None
    learnt: Learnt = field(default_factory=Learnt)


@dataclass(frozen=True, slots=True)
class Look:
    """The clockwork of one look: what was before it and how much time it adds."""

    before: AgeState
    facts: Facts
    observed_s: float
    real_s: float
    """Monotonic seconds since the last look; 0 for the first one of a boot."""
    gap: bool

    @property
    def first(self) -> bool:
        return not self.before.marks

    def mark(self, name: str, key: str | None, age_s: float | None = 0.0) -> Mark | None:
        """Return the mark of a signal that says *key* now and has said it for *age_s*."""
        known = self.before.marks.get(name)
        if key is None or (known is not None and known.key == key):
            return known
        return Mark(key, None if age_s is None else self.observed_s - age_s)

    def rising(self, name: str, value: int | None, age_s: float | None) -> dict[str, Mark | None]:
        """Return the marks of a number that only rises: what is lower is a file server's lag.

        A lower one that stays was put there: it is believed, and is no progress.
        """
        known, low = self.before.marks.get(name), f"{name}_low"
        if value is None or known is None or not known.key.isdigit() or value >= int(known.key):
            return {name: self.mark(name, None if value is None else str(value), age_s), low: None}
        since = self.mark(low, "lower")
        stayed = since is not None and self.observed_s - (since.at or 0.0) >= LAG_S
        if stayed or self.facts.attempt != self.before.attempt:
            return {name: Mark(str(value), known.at), low: None}
        return {name: known, low: since}
