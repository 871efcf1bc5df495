"""What Megatron-Bridge leaves out of a YARN rope, and what transformers puts there.

The rule: a field is filled only where Megatron-Bridge left None, and with what transformers itself
would compute with. Megatron-Bridge 0.4.0 to 0.6.2 copies only those keys that the model's config
happens to name, so the other fields reach Megatron as None: four of them end in a TypeError, the
fifth (rounding) silently bends the frequencies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .causes import StageError
from .files import read_object

REQUIRED: Mapping[str, str] = {
    "yarn_rotary_scaling_factor": "factor",
    "yarn_original_max_position_embeddings": "original_max_position_embeddings",
}
"""Megatron-Bridge's name of a field by the config's key; without these there is no YARN."""

DEFAULTS: Mapping[str, tuple[str, Any]] = {
    "yarn_beta_fast": ("beta_fast", 32.0),
    "yarn_beta_slow": ("beta_slow", 1.0),
    "yarn_mscale": ("mscale", 1.0),
    "yarn_mscale_all_dim": ("mscale_all_dim", 0.0),
    "yarn_correction_range_round_to_int": ("truncate", True),
}
"""The five fields: the config's key, and the value of transformers (and of megatron-core)."""


def read_config(base: Path) -> Mapping[str, Any]:
    """The config.json of the model folder *base*. Raises StageError."""
    value = read_object(base / "config.json")
    if value is None:
        raise StageError(f"the base model is not there: {base} has no readable config.json")
    return value


def rope_table(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rope's table: transformers 5 calls it rope_parameters, older ones rope_scaling."""
    for name in ("rope_parameters", "rope_scaling"):
        table = config.get(name)
        if isinstance(table, Mapping) and (table.get("rope_type") or table.get("type")):
            return table
    return {}


def yarn_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """All YARN fields of the model that *config* (its config.json) describes; empty without YARN.

    Raises StageError where the config lacks what YARN needs, or asks for what Megatron-Bridge
    would silently leave out.
    """
    rope = rope_table(config)
    if (rope.get("rope_type") or rope.get("type")) != "yarn":
        return {}
    fields: dict[str, Any] = {}
    for field, key in REQUIRED.items():
        if rope.get(key) is None:
            raise StageError(f"the base's config.json asks for YARN but has no {key}")
        fields[field] = rope[key]
    for field, (key, default) in DEFAULTS.items():
        value = rope.get(key)
        fields[field] = default if value is None else value
    _check_attention_factor(rope)
    return fields


def _check_attention_factor(rope: Mapping[str, Any]) -> None:
    """transformers obeys an attention_factor, Megatron-Bridge does not know the key."""
    wanted = rope.get("attention_factor")
    if wanted is None:
        return
    usual = 0.1 * math.log(float(rope["factor"])) + 1.0
    if not math.isclose(float(wanted), usual, rel_tol=1e-6):
        raise StageError(
            f"the base's config.json sets attention_factor = {wanted}, which Megatron-Bridge "
            f"leaves out (it uses {usual:.6f}): this lane would train another model"
        )


def fill_yarn(provider: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Set those of *fields* that are None on *provider*; returns what was set.

    Does nothing unless the provider's rope is YARN.
    """
    if getattr(provider, "position_embedding_type", None) != "yarn":
        return {}
    filled = {
        name: value
        for name, value in fields.items()
        if hasattr(provider, name) and getattr(provider, name) is None
    }
    for name, value in filled.items():
        setattr(provider, name, value)
    return filled


def doubts(config: Mapping[str, Any]) -> list[str]:
    """What a person should know of the rope; nothing of it changes what is trained."""
    if "attn_factor" in rope_table(config):
        return [
            "config.json has attn_factor: transformers and Megatron-Bridge both ignore it, but a "
            "server may apply it, and the model then answers otherwise than it was trained"
        ]
    return []
