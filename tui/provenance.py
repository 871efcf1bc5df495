"""What was asked for and with what it is done, as names and values. Pure.

Anybody may have written the files: whatever is in them is shown as text, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

MOST_ROWS = 400

Rows = tuple[tuple[str, str], ...]
"""(name, value); a heading has no value."""

_ABOUT = ("run", "name", "lane", "engine", "kind", "iterations", "smoke", "after", "python")
_TOLD_APART = frozenset({"schema", "recipe", "stages", "created_wall", "keeper_command", *_ABOUT})


def provenance(run: Mapping[str, Any], state: Mapping[str, Any]) -> Rows:
    """The rows for run.json and state.json."""
    rows = [("run", "")]
    rows += [(name, _text(run[name])) for name in _ABOUT if run.get(name) is not None]
    rows += _section("what it runs on", _machine(run, state))
    rest = {key: each for key, each in run.items() if key not in _TOLD_APART}
    rows += _section("provenance", rest)
    recipe = run.get("recipe")
    if isinstance(recipe, Mapping):
        for name, part in recipe.items():
            if name == "docker" and run.get("engine") != "docker":
                continue
            if name == "lanes" and isinstance(part, Mapping):
                part = {key: each for key, each in part.items() if key == run.get("lane")}
            # What is not set is the default: a page of "none" would hide what is.
            rows += _section(f"recipe: {name}", part if isinstance(part, Mapping) else {name: part})
    return tuple(rows[:MOST_ROWS])


def _machine(run: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    process = state.get("process")
    shown = {key: run.get(key) for key in ("image",)}
    if isinstance(process, Mapping):
        shown |= {key: process.get(key) for key in ("pid", "container_id", "image")}
    return shown | {"stages": run.get("stages"), "attempt": state.get("attempt")}


def _section(title: str, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [(name, text) for name, text in _flat(values, "") if text]
    return [(title, ""), *rows] if rows else []


def _flat(values: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        else:
            yield name, _text(value)


def _text(value: object) -> str:
    """Lists in one line; what is unset is empty and is left out."""
    if value is None or value == [] or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
