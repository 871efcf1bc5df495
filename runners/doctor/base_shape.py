"""The sizes of a base model, from its config.json, and what follows from them. Pure.

The rule: a figure that the configuration does not give is None, and so is all that needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "fp32": 4, "bf16": 2}
"""Bytes of one number, by the names that configurations and recipes give them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseShape:
    """A decoder of the Llama and Qwen kind: what its memory follows from."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    inner: int
    vocabulary: int
    tied: bool = False
    """Input and output embedding are one."""
    counted: int | None = None
    """Weights by the headers of the base's files; what experts weigh is known by these alone."""

    @property
    def queries(self) -> int:
        """Width of all query heads together."""
        return self.heads * self.head_size

    @property
    def keys(self) -> int:
        """Width of all key (or value) heads together."""
        return self.kv_heads * self.head_size

    @property
    def parameters(self) -> int:
        """Weights as counted; else exact for Qwen3 but for biases in older families (0.1 %)."""
        if self.counted is not None:
            return self.counted
        attention = 2 * self.hidden * self.queries + 2 * self.hidden * self.keys
        norms = 2 * self.hidden + 2 * self.head_size
        layer = attention + 3 * self.hidden * self.inner + norms
        embeddings = (1 if self.tied else 2) * self.vocabulary * self.hidden
        return embeddings + self.layers * layer + self.hidden

    def adapter_parameters(self, rank: int, targets: Iterable[str], *, fused: bool = False) -> int:
        """Trainable weights of a LoRA of *rank* on *targets* (Hugging Face's names).

        *fused*: one A for q, k and v together, as Megatron's LoRA on linear_qkv has it.
        """
        sizes = {
            "q_proj": (self.hidden, self.queries),
            "k_proj": (self.hidden, self.keys),
            "v_proj": (self.hidden, self.keys),
            "o_proj": (self.queries, self.hidden),
            "gate_proj": (self.hidden, self.inner),
            "up_proj": (self.hidden, self.inner),
            "down_proj": (self.inner, self.hidden),
        }
        named = [name for name in targets if name in sizes]
        total = sum(sum(sizes[name]) for name in named)
        shared = [name for name in named if name in ("q_proj", "k_proj", "v_proj")]
        if fused and shared:
            total -= (len(shared) - 1) * self.hidden
        return rank * total * self.layers


def shape_from(config: Mapping[str, Any]) -> BaseShape | None:
    """Read a config.json; None where it lacks what a decoder's sizes need."""
    hidden, layers, heads, inner, vocabulary = (
        _whole(config.get(key))
        for key in (
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "vocab_size",
        )
    )
    if not (hidden and layers and heads and inner and vocabulary):
        return None
    return BaseShape(
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=_whole(config.get("num_key_value_heads")) or heads,
        head_size=_whole(config.get("head_dim")) or hidden // heads,
        inner=inner,
        vocabulary=vocabulary,
        tied=config.get("tie_word_embeddings") is True,
    )


def rope_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rope's own table: `rope_parameters` since transformers 5, `rope_scaling` before."""
    for key in ("rope_parameters", "rope_scaling"):
        table = config.get(key)
        if isinstance(table, dict):
            return table
    return {}


def is_yarn(config: Mapping[str, Any]) -> bool:
    """The rope is stretched as YARN does it."""
    rope = rope_of(config)
    return "yarn" in (rope.get("rope_type"), rope.get("type"))


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
