"""Every field of the recipe by its dotted path: what it means, what it allows, its default.

Read from the model itself, so that error texts, the template and the model can never disagree.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from runners.recipe.model import Recipe, Table

SYNONYMS = {
    "base": "model.path",
    "model_name": "model.path",
    "max_seq_length": "model.sequence_length",
    "max_length": "model.sequence_length",
    "seq_length": "model.sequence_length",
    "dataset": "data.path",
    "dataset_path": "data.path",
    "r": "lora.rank",
    "lora_alpha": "lora.alpha",
    "lora_dropout": "lora.dropout",
    "target_modules": "lora.targets",
    "max_steps": "train.iterations",
    "steps": "train.iterations",
    "train_iters": "train.iterations",
    "learning_rate": "train.lr",
    "lr_scheduler_type": "train.schedule",
    "warmup_ratio": "train.warmup",
    "warmup_steps": "train.warmup",
    "micro_batch_size": "train.micro_batch",
    "batch_size": "train.micro_batch",
    "per_device_train_batch_size": "train.micro_batch",
    "gradient_accumulation_steps": "train.accumulation",
    "save_steps": "train.save_interval",
    "save_total_limit": "train.keep_last",
    "dtype": "train.precision",
    "bf16": "train.precision",
    "eval_steps": "data.eval_interval",
}
"""What Unsloth, transformers, peft and Megatron call the same thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldView:
    """One field, or a table, of the recipe."""

    path: str
    allowed: str
    """In words: "a whole number from 1"."""
    description: str
    default: object
    required: bool
    is_table: bool
    is_text: bool


@cache
def fields() -> Mapping[str, FieldView]:
    """Return every table and field of the recipe by dotted path, in the order of the model."""
    found: dict[str, FieldView] = {}
    _walk(Recipe, "", Recipe.model_json_schema(), found)
    return found


def _walk(
    table: type[Table], prefix: str, schema: dict[str, Any], found: dict[str, FieldView]
) -> None:
    own = schema if table is Recipe else schema["$defs"][table.__name__]
    for name, info in table.model_fields.items():
        path = f"{prefix}{name}"
        inner = info.annotation
        nested = inner if isinstance(inner, type) and issubclass(inner, Table) else None
        found[path] = FieldView(
            path=path,
            allowed="a table" if nested else in_words(own["properties"][name]),
            description=(nested.__doc__ or "") if nested else (info.description or ""),
            default=None
            if nested or info.is_required()
            else info.get_default(call_default_factory=True, validated_data={}),
            required=info.is_required() and nested is None,
            is_table=nested is not None,
            is_text=_is_text(own["properties"][name]),
        )
        if nested:
            _walk(nested, f"{path}.", schema, found)


def _is_text(schema: Mapping[str, Any]) -> bool:
    """True for free text; a choice among words is none."""
    choices = schema.get("anyOf", (schema,))
    return any(
        each.get("type") == "string" and not {"enum", "const"} & each.keys() for each in choices
    )


def in_words(schema: Mapping[str, Any]) -> str:
    """Say in words what a JSON schema allows; `allowed` are a field's own words."""
    if "allowed" in schema:
        return str(schema["allowed"])
    if "anyOf" in schema:
        return " or ".join(in_words(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        *first, last = [json.dumps(each) for each in schema["enum"]]
        return f"{', '.join(first)} or {last}"
    kind = schema.get("type")
    if kind == "array":
        return f"a list of {'texts' if schema['items'].get('type') == 'string' else 'values'}" + (
            " that is not empty" if schema.get("minItems") else ""
        )
    if kind == "boolean":
        return "true or false"
    if kind == "string":
        return "text in quotes" + (", not empty" if schema.get("minLength") else "")
    return f"a {'whole ' if kind == 'integer' else ''}number{_range(schema)}"


def _range(schema: Mapping[str, Any]) -> str:
    words = [
        f"{word} {schema[key]:g}" if abs(schema[key]) < 1e6 else f"{word} {schema[key]:d}"
        for key, word in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "up to"),
            ("exclusiveMaximum", "below"),
        )
        if key in schema
    ]
    return f" {' '.join(words)}" if words else ""


def nearest(path: str) -> str | None:
    """Return the known dotted path that *path* most likely means, or None.

    What other trainers call it comes first, then the same name in another table, then names that
    look alike: of its siblings, of other tables, whole paths.
    """
    known = fields()
    table, _, name = path.rpartition(".")
    if name.lower() in SYNONYMS:
        return SYNONYMS[name.lower()]
    siblings = [each for each in known if each.rpartition(".")[0] == table]
    by_name = {each.rpartition(".")[2]: each for each in siblings}
    elsewhere = {each.rpartition(".")[2]: each for each in known}
    if name in elsewhere and name not in by_name:
        return elsewhere[name]
    if close := difflib.get_close_matches(name, by_name, n=1, cutoff=0.6):
        return by_name[close[0]]
    if close := difflib.get_close_matches(name, elsewhere, n=1, cutoff=0.75):
        return elsewhere[close[0]]
    return next(iter(difflib.get_close_matches(path, known, n=1, cutoff=0.8)), None)
