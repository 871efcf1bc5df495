"""What alerts are decided from, and what is decided: frozen values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from monitor.edges import LOOKS_OF_TROUBLE
from monitor.model import Verdict


class Severity(StrEnum):
    """How urgent: `wake` pierces the quiet hours and repeats, `tell` does neither."""

    WAKE = "wake"
    TELL = "tell"


class Kind(StrEnum):
    """What an alert tells about its trouble."""

    RAISED = "raised"
    REMINDER = "reminder"
    RECOVERED = "recovered"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that is wrong at one look."""

    key: str
    severity: Severity
    word: str
    """Names it in a title: "stalled", "memory high"."""
    reason: str
    level: int = 0
    """A trouble that rises to a higher level is sent anew."""
    looks: int = LOOKS_OF_TROUBLE
    apart: bool = False
    """Not in the verdict, which therefore cannot take it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look has found that bears on alerts."""

    verdict: Verdict | None
    """None: by one who does not observe (the keeper)."""
    now_s: float
    """Observed seconds; no clock that may jump."""
    attempt: int = 1
    total: int | None = None
    """Iterations expected."""
    by_user: bool = False
    """The run was stopped by the person who would be told."""
    again: bool = False
    """The run had ended so before, and only a checkpoint was exported since."""
    others: tuple[Trouble, ...] = ()
    """Troubles that are not in the verdict: memory, the keeper."""
    unclear: tuple[str, ...] = ()
    """Keys that this look can say nothing of: what was, goes on."""
    others_speak: tuple[str, ...] = ()
    """Keys that another watcher of the machine now tells of: what was, is dropped in silence."""
    acknowledged: bool = False
    """Somebody has just said that they know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """A trouble from its first look to its end."""

    severity: Severity
    word: str
    reason: str
    level: int = 0
    apart: bool = False
    looks: int = 0
    """Looks in a row on which it was there, until it was confirmed."""
    confirmed: bool = False
    away: int = 0
    """Looks in a row on which it was not there."""
    sent_s: float | None = None
    reminders: int = 0
    acked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An alert to be sent now."""

    key: str
    severity: Severity
    kind: Kind
    word: str
    reason: str
    reminders: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertState:
    """What must be known from one look to the next, and by the next watcher."""

    spells: Mapping[str, Spell] = field(default_factory=dict)
    told_s: Mapping[str, float] = field(default_factory=dict)
    """When a `tell` of this key was last sent."""
    attempt: int = 1
    ended: str | None = None
    """The ending of this attempt that was told."""

    @property
    def pending(self) -> tuple[str, ...]:
        """Wake troubles that were sent and that nobody has acknowledged."""
        return tuple(
            key
            for key, spell in self.spells.items()
            if spell.sent_s is not None and not spell.acked and spell.severity is Severity.WAKE
        )

    @property
    def acked(self) -> tuple[str, ...]:
        """Troubles that are still there and that somebody knows of."""
        return tuple(key for key, spell in self.spells.items() if spell.acked)
