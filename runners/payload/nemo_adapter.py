"""What this lane can do of a recipe, in Megatron's words. Pure; a recipe's check asks it too."""

from __future__ import annotations

from collections.abc import Sequence

from .causes import StageError
from .trackers import OF_MEGATRON

CANONICAL = {
    "q_proj": "linear_q",
    "k_proj": "linear_k",
    "v_proj": "linear_v",
    "o_proj": "linear_proj",
    "gate_proj": "linear_fc1_gate",
    "up_proj": "linear_fc1_up",
    "down_proj": "linear_fc2",
}
"""Hugging Face's name of a layer by that of CanonicalLoRA: an adapter each, as PEFT has it."""

FUSED = {
    "linear_qkv": ("q_proj", "k_proj", "v_proj"),
    "linear_proj": ("o_proj",),
    "linear_fc1": ("gate_proj", "up_proj"),
    "linear_fc2": ("down_proj",),
}
"""Megatron's fused layers: LoRA gives each ONE adapter, whose A is shared by all of its parts.
CanonicalLoRA gives each part its own, but fails in the first iteration where one has none (seen
with 0.4.2)."""


TRACKERS = frozenset(OF_MEGATRON)
"""Those of train.report_to that Megatron-Bridge knows by the same names."""


def adapter_targets(targets: Sequence[str], *, fused: bool) -> list[str]:
    """Return Megatron's names of *targets*, in Megatron's order.

    Raises StageError for a layer that this lane does not know, or a part of a fused one.
    """
    unknown = [each for each in targets if each not in CANONICAL]
    if unknown:
        raise StageError(
            f"lora.targets: the nemo lane has no layer {unknown[0]!r}; it knows "
            f"{', '.join(CANONICAL)}"
        )
    for parts in FUSED.values():
        there = [each for each in parts if each in targets]
        if there and len(there) < len(parts):
            raise StageError(
                f"lora.targets: Megatron-Bridge trains adapters on {', '.join(parts)} together or "
                f"not at all; only {', '.join(there)} is named"
            )
    if fused:
        return [name for name, parts in FUSED.items() if parts[0] in targets]
    return [name for each, name in CANONICAL.items() if each in targets]
