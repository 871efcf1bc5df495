"""What the launch form is told, as frozen values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tui.launching.form import Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One thing that can be picked."""

    value: str
    title: str
    note: str = ""
    """Beside the title: a size, a number of rows."""
    tone: str = ""
    """Of the note."""
    detail: str = ""
    """Shown while the choice is under the cursor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLine:
    """One line of the doctor."""

    name: str
    level: str
    """ok, warn or fail."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What is known of the launch so far; each one holds all that the one before held."""

    says: Mapping[Field, str] = field(default_factory=dict)
    """What the recipe says of the fields that it decides."""
    problems: tuple[tuple[Field | None, str], ...] = ()
    """(beside which field, one sentence); None: of the whole."""
    checks: tuple[CheckLine, ...] = ()
    memory: str = ""
    """safe, tight or refuse, and why."""
    projected: str = ""
    looking: str = ""
    """What is being looked at now; empty once all is known."""

    @property
    def refused(self) -> bool:
        """A launch would be refused for what was seen so far."""
        return bool(self.problems) or any(each.level == "fail" for each in self.checks)
