"""Dotted paths into a recipe's tables, and the file names that some of them hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from runners.recipe.fields import fields
from runners.recipe.model import TINY_MODEL
from runners.recipe.problems import Problem, shown

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
PATH_FIELDS = ("model.path", "data.path", "data.eval_path")


def get(data: dict[str, Any], dotted: str) -> object:
    inner: Any = data
    for name in dotted.split("."):
        inner = inner.get(name) if isinstance(inner, dict) else None
    return inner


def put(data: dict[str, Any], dotted: str, value: object) -> None:
    *tables, last = dotted.split(".")
    inner = data
    for name in tables:
        if not isinstance(inner.get(name, {}), dict):
            return
        inner = inner.setdefault(name, {})
    inner[last] = value


def resolve_paths(data: dict[str, Any], folder: Path) -> list[Problem]:
    """Make the paths of *data* absolute, in place; a model of the hub keeps its name."""
    problems = []
    for dotted in PATH_FIELDS:
        value = get(data, dotted)
        if not isinstance(value, str) or not value:
            continue
        try:
            resolved = _resolved(dotted, value, folder)
        except (ValueError, RuntimeError, OSError):
            problems.append(Problem(dotted, f"is {shown(value)}, which is not a file name"))
            continue
        if resolved is None:
            problems.append(
                Problem(
                    dotted,
                    f"is {shown(value)}, which is no folder here",
                    fields()[dotted].description,
                )
            )
        else:
            put(data, dotted, resolved)
    return problems


def _resolved(dotted: str, value: str, folder: Path) -> str | None:
    """Return the absolute path, the unchanged name of a model, or None where it can be neither."""
    if "\0" in value:
        raise ValueError
    if dotted == "model.path" and value == TINY_MODEL:
        return value
    path = Path(value).expanduser()
    absolute = path if path.is_absolute() else Path(f"{folder}/{path}")
    is_path = value.startswith((".", "~", "/")) or dotted != "model.path" or absolute.is_dir()
    if is_path:
        return str(absolute.resolve())
    return value if HUB_ID.fullmatch(value) else None
