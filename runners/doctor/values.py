"""What a check says: how it stands, what was seen, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from monitor.rundir import SCHEMA


class Level(StrEnum):
    """How a check stands; a launch is refused while one fails."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"

    @property
    def rank(self) -> int:
        """0 for ok; a larger rank is worse."""
        return tuple(Level).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check's result."""

    name: str
    level: Level
    seen: str
    """What was seen, in one sentence."""
    remedy: str | None = None
    """What to do, in one sentence; None where all is well."""
    overridable: bool = True
    """`launch --anyway` goes on although this fails."""

    def to_json(self) -> dict[str, Any]:
        """As `doctor --json` prints it."""
        return {
            "check": self.name,
            "level": self.level.value,
            "seen": self.seen,
            "remedy": self.remedy,
            "overridable": self.overridable,
        }

    @property
    def sentence(self) -> str:
        """What was seen and what to do."""
        return f"{self.seen}: {self.remedy}" if self.remedy else self.seen


def ok(name: str, seen: str) -> Check:
    """All is well."""
    return Check(name=name, level=Level.OK, seen=seen)


def warn(name: str, seen: str, remedy: str) -> Check:
    """It may go wrong."""
    return Check(name=name, level=Level.WARN, seen=seen, remedy=remedy)


def fail(name: str, seen: str, remedy: str, *, overridable: bool = True) -> Check:
    """It will go wrong."""
    return Check(name=name, level=Level.FAIL, seen=seen, remedy=remedy, overridable=overridable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """All checks of one launch, or of the machine alone."""

    checks: tuple[Check, ...]
    recipe: str | None = None
    lane: str | None = None
    engine: str | None = None
    memory_estimate_bytes: int | None = None
    """What the run will take of this machine's memory at most; None: not known."""

    @property
    def ok(self) -> bool:
        """No check fails."""
        return not self.failed

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that fail."""
        return self.of(Level.FAIL)

    def of(self, level: Level) -> tuple[Check, ...]:
        """The checks that stand so."""
        return tuple(each for each in self.checks if each.level is level)

    def to_json(self) -> dict[str, Any]:
        """As `doctor --json` prints it."""
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "recipe": self.recipe,
            "lane": self.lane,
            "engine": self.engine,
            "memory_estimate_bytes": self.memory_estimate_bytes,
            "checks": [each.to_json() for each in self.checks],
        }


def worst(checks: Iterable[Check]) -> Level:
    """The worst level among *checks*; ok for none."""
    return max((each.level for each in checks), key=lambda level: level.rank, default=Level.OK)
