"""Write a recipe to start from. Made from the model, so that the two cannot drift apart."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping

from runners.recipe.fields import FieldView, fields

WIDTH = 96
HEAD = (
    "A lanewatch recipe: what to train. The values are those of the article, a LoRA of "
    "DeepSeek-R1-0528-Qwen3-8B for a patent strategist; what is left out has the same value. "
    "Check it with `lanewatch recipe check FILE`."
)
AUTO_FIELDS = "train.auto_"
"""Printed only where iterations are "auto"."""
EXAMPLES: Mapping[str, object] = {"data.path": "train.jsonl"}


def render_template(values: Mapping[str, object] | None = None, *, head: str | None = None) -> str:
    """Return a whole recipe as TOML with a comment for each field.

    *values* replaces the value of fields by dotted path, *head* the comment at the top.
    """
    shown = {**EXAMPLES, **(values or {})}
    is_auto = shown.get("train.iterations") == "auto"
    lines = [*_comment(HEAD if head is None else head)]
    for view in fields().values():
        if view.is_table:
            if _has_own_fields(view):
                lines += ["", *_comment(view.description), f"[{view.path}]"]
        elif is_auto or not view.path.startswith(AUTO_FIELDS):
            lines += _field(view, shown.get(view.path, view.default))
    return "\n".join(lines) + "\n"


def _has_own_fields(table: FieldView) -> bool:
    return any(
        not each.is_table and each.path.rpartition(".")[0] == table.path
        for each in fields().values()
    )


def _field(view: FieldView, value: object) -> Iterator[str]:
    name = view.path.rpartition(".")[2]
    yield from _comment(f"{view.description} ({view.allowed})")
    if value is None:
        yield f"# {name} ="
    else:
        yield f"{name} = {_toml(value)}"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH)]


def _toml(value: object) -> str:
    """Return a value as TOML; of what a recipe holds, JSON is written the same but for floats."""
    if isinstance(value, float) and value == int(value):
        return f"{value:.1f}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(each) for each in value)}]"
    return json.dumps(value, ensure_ascii=False)
