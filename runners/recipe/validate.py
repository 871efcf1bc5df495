"""Check a recipe's tables against the model and find every problem in one pass."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from runners.recipe.fields import fields, nearest
from runners.recipe.model import Recipe, disagreements
from runners.recipe.problems import Problem, shown


def validate(data: dict[str, Any]) -> tuple[Recipe | None, list[Problem]]:
    """Validate; a field that is wrong is taken out and the rest is still checked as a whole."""
    try:
        recipe = Recipe.model_validate(data, context={"collect": True})
        problems: list[Problem] = []
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = [_problem(each) for each in details]
        for each in details:
            _take_out(data, _loc(each))
        try:
            recipe = Recipe.model_validate(data, context={"collect": True})
        except ValidationError:
            return None, problems
    wrong = {each.path.partition("[")[0] for each in problems}
    problems += [
        Problem(names[0], sentence)
        for names, sentence in disagreements(recipe)
        if wrong.isdisjoint(names)
    ]
    return recipe, problems


def _loc(detail: ErrorDetails) -> tuple[str | int, ...]:
    """Drop the names of union members that pydantic appends to a field's place."""
    kept: list[str | int] = []
    for part in detail["loc"]:
        is_name = detail["type"] != "extra_forbidden" and isinstance(part, str)
        if is_name and ".".join(str(each) for each in [*kept, part]) not in fields():
            break
        kept.append(part)
    return tuple(kept)


def _problem(detail: ErrorDetails) -> Problem:
    loc = _loc(detail)
    dotted = ".".join(str(part) for part in loc if isinstance(part, str))
    place = dotted + "".join(f"[{part}]" for part in loc if isinstance(part, int))
    if detail["type"] == "extra_forbidden":
        return Problem(dotted, "no such field", nearest=nearest(dotted))
    view = fields()[dotted]
    if detail["type"] == "missing":
        return Problem(dotted, f"missing: {view.description}", view.allowed)
    return Problem(place, f"is {shown(detail['input'])}", view.allowed)


def _take_out(data: dict[str, Any], loc: tuple[str | int, ...]) -> None:
    names = [part for part in loc if isinstance(part, str)]
    *tables, last = names
    inner: Any = data
    for name in tables:
        inner = inner.get(name) if isinstance(inner, dict) else None
    if isinstance(inner, dict):
        if ".".join(names) == "data":
            inner[last] = {"path": "-"}
        elif ".".join(names) == "data.path":
            inner[last] = "-"
        else:
            inner.pop(last, None)
