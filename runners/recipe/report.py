"""What a check of a recipe and its data found, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from monitor.rundir import SCHEMA
from runners.recipe.comparison import Comparison


class Level(StrEnum):
    """How much a finding matters; an error is what a launch should not go ahead with."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that the check has to say."""

    level: Level
    field: str
    """The recipe's field concerned, by dotted path; empty for the file as a whole."""
    text: str
    lines: tuple[int, ...] = ()
    """The first lines of the data file that show it, from 1."""
    count: int | None = None
    """How many rows show it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that the check found and measured."""

    recipe: str
    findings: tuple[Finding, ...]
    base: str | None = None
    """Folder of the base model, where it is on this machine."""
    rows: int | None = None
    """Lines of the data file that are not blank."""
    shapes: Mapping[str, int] = field(default_factory=dict)
    tokens: Mapping[str, int | None] | None = None
    """Tokens of a row before any cut: p50, p95, max; total of all. None: not known."""
    cut: int | None = None
    """Rows longer than the sequence limit."""
    epochs: float | None = None
    """Times each row is trained on; None when iterations are "auto"."""
    lanes: Comparison | None = None
    """What the lanes do alike and what they cannot; None for a recipe that is none."""

    @property
    def ok(self) -> bool:
        """True when nothing is an error."""
        return all(each.level is not Level.ERROR for each in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return what `recipe check --json` prints."""
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "recipe": self.recipe,
            "base": self.base,
            "rows": self.rows,
            "shapes": dict(self.shapes),
            "tokens": None if self.tokens is None else dict(self.tokens),
            "cut": self.cut,
            "epochs": self.epochs,
            "lanes": None if self.lanes is None else self.lanes.to_json(),
            "findings": [
                {
                    "level": each.level.value,
                    "field": each.field,
                    "text": each.text,
                    "lines": list(each.lines),
                    "count": each.count,
                }
                for each in self.findings
            ],
        }

    def lines(self) -> list[str]:
        """Return the same as text, a line each; the verdict comes last."""
        lanes = [] if self.lanes is None else self.lanes.lines()
        findings = [_in_text(each) for each in self.findings]
        return [*self._facts(), *lanes, *findings, self._verdict()]

    def _facts(self) -> Iterator[str]:
        if self.base:
            yield f"base      {self.base}"
        if self.rows is not None:
            shapes = ", ".join(f"{count} {name}" for name, count in self.shapes.items())
            yield f"rows      {self.rows} ({shapes or 'none usable'})"
        if self.tokens is not None:
            found = self.tokens
            yield (
                f"tokens    p50 {found['p50']}, p95 {found['p95']}, max {found['max']}, "
                f"{found['total']} in all; {self.cut} rows over the limit"
            )
        if self.epochs is not None:
            yield f"epochs    {self.epochs:.2f}"

    def _verdict(self) -> str:
        errors = sum(each.level is Level.ERROR for each in self.findings)
        if not errors:
            return f"{self.recipe}: ok"
        return f"{self.recipe}: {errors} error{'s' if errors > 1 else ''}"


def _in_text(finding: Finding) -> str:
    place = f"{finding.field}: " if finding.field else ""
    return f"{finding.level.value:<9} {place}{finding.text}"
