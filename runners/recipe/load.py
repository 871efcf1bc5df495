"""Read a recipe from TOML and report every problem in it at once.

Whatever the file holds, the caller gets a `Recipe` or a `RecipeError`, never another exception.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from monitor.errors import MonitorError
from monitor.rundir import expanded
from runners.recipe.fields import fields, nearest
from runners.recipe.model import Recipe
from runners.recipe.paths import PATH_FIELDS, get, put, resolve_paths
from runners.recipe.problems import Problem, RecipeError
from runners.recipe.source import read_tables
from runners.recipe.validate import validate

__all__ = ["Problem", "RecipeError", "load_recipe", "recipe_from_data", "recipe_hash"]


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe of the TOML file *path* with `--set` *overrides* ("table.key=value").

    Relative paths in the file are resolved against its folder, those of an override against the
    current folder. Raises RecipeError with every problem.
    """
    try:
        path = expanded(str(path))
    except MonitorError as error:
        raise RecipeError([Problem("", str(error))], str(path)) from None
    return _build(read_tables(path), overrides, folder=path.absolute().parent, source=str(path))


def recipe_from_data(data: Path, model: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return the default recipe for the rows of *data* and the base *model* (no recipe file).

    Raises RecipeError.
    """
    tables: dict[str, Any] = {"data": {"path": str(data)}, "model": {"path": model}}
    return _build(tables, overrides, folder=Path.cwd(), source="recipe from --data and --model")


def recipe_hash(recipe: Recipe) -> str:
    """Return the SHA-256, in hex, of the recipe's canonical JSON: of what is trained, and how."""
    trained = recipe.model_dump(mode="json", exclude={"run", "docker"})
    canonical = json.dumps(trained, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _build(data: dict[str, Any], overrides: Sequence[str], *, folder: Path, source: str) -> Recipe:
    problems = [*resolve_paths(data, folder)]
    given: dict[str, Any] = {}
    for override in overrides:
        problems += _apply(override, data, given)
    problems += resolve_paths(given, Path.cwd())
    for dotted in PATH_FIELDS:
        if (value := get(given, dotted)) is not None:
            put(data, dotted, value)
    if isinstance(data.get("data", {}), dict):
        data.setdefault("data", {})
    recipe, found = validate(data)
    problems += found
    if problems or recipe is None:
        raise RecipeError(_unique(problems), source)
    return recipe


def _unique(problems: Iterable[Problem]) -> list[Problem]:
    """One problem a field: members of a union each complain of the same value."""
    return list({(each.path, each.message): each for each in problems}.values())


def _apply(override: str, data: dict[str, Any], given: dict[str, Any]) -> list[Problem]:
    """Put one `--set` into *data*, and a path that it names into *given* too."""
    dotted, equals, text = override.partition("=")
    dotted = dotted.strip()
    if not equals or not dotted:
        return [Problem("", f"--set {override!r}: write it as table.key=value")]
    view = fields().get(dotted)
    if view is None:
        return [Problem(dotted, "no such field (--set)", nearest=nearest(dotted))]
    if view.is_table:
        return [Problem(dotted, "is a table (--set); name one of its fields")]
    value = _toml_value(text)
    if view.is_text and not isinstance(value, str) and text.strip() != "":
        value = text.strip()
    put(data, dotted, value)
    if dotted in PATH_FIELDS:
        put(given, dotted, value)
    return []


def _toml_value(text: str) -> object:
    if "\n" not in text:
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError):
            pass
    return text.strip()
