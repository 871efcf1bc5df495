"""`--set` of a run that has no recipe: only what its watcher uses can be set."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any

from runners.errors import RunnerError
from runners.recipe.fields import fields

TABLES = ("liveness", "memory")


def tables_from(overrides: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the tables that `table.key=value` words make. Raises RunnerError."""
    tables: dict[str, dict[str, Any]] = {}
    for override in overrides:
        dotted, equals, text = override.partition("=")
        table, _, key = dotted.strip().partition(".")
        if not equals:
            raise RunnerError(f"--set {override!r}: write it as table.key=value")
        if dotted.strip() not in _settable():
            raise RunnerError(f"--set {override!r}: {_unknown(dotted.strip())}")
        tables.setdefault(table, {})[key] = _value(text)
    _check(tables)
    return tables


def _settable() -> list[str]:
    return [
        path
        for path, view in fields().items()
        if path.partition(".")[0] in TABLES and not view.is_table
    ]


def _unknown(dotted: str) -> str:
    near = difflib.get_close_matches(dotted, _settable(), n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"of a run that lanewatch did not start, only liveness.* and memory.* can be set{hint}"


def _value(text: str) -> Any:
    """A number, or the text that it is: the tables say what they want."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _check(tables: dict[str, dict[str, Any]]) -> None:
    """Let the recipe's own tables say what is wrong with a value."""
    from pydantic import ValidationError

    from runners.recipe.model import LivenessTable, MemoryTable

    for name, model in (("liveness", LivenessTable), ("memory", MemoryTable)):
        try:
            model.model_validate(tables.get(name, {}))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, (name, *first["loc"])))
            raise RunnerError(f"--set {where}: {first['msg']}") from error
