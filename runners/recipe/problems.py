"""What is wrong with a recipe: where, what was given, what is allowed, what was meant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from runners.errors import RunnerError

SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a recipe."""

    path: str
    """Dotted path of the field; empty when it is about the whole file."""
    message: str
    allowed: str | None = None
    nearest: str | None = None

    def __str__(self) -> str:
        text = f"{self.path}: {self.message}" if self.path else self.message
        if self.allowed:
            text += f"; allowed: {self.allowed}"
        return f"{text}; did you mean {self.nearest}?" if self.nearest else text


class RecipeError(RunnerError):
    """A recipe that cannot be used; its text lists every problem, one a line."""

    def __init__(self, problems: Sequence[Problem], source: str = "recipe") -> None:
        self.problems = tuple(problems)
        self.source = source
        listed = [str(each) for each in self.problems]
        if len(listed) == 1:
            super().__init__(f"{source}: {listed[0]}")
        else:
            lines = "".join(f"\n  {each}" for each in listed)
            super().__init__(f"{source}: {len(listed)} problems{lines}")


def shown(value: object) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, bool):
        return str(value).lower()
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = str(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
