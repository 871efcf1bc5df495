"""Which of Unsloth's fast paths a training takes, and why it does not take another. Pure.

The rule: what a launch can know beforehand and what the trainer then reports are said by the same
words, so that a report of `recipe check` can be held against result.json.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

QKV = frozenset({"q_proj", "k_proj", "v_proj"})
OUT = frozenset({"o_proj"})
MLP = frozenset({"gate_proj", "up_proj", "down_proj"})
GROUPS = {"qkv": QKV, "o": OUT, "mlp": MLP}
"""Unsloth has a fused kernel for each; a group needs an adapter on all of its layers."""

FUSED_DROPOUT = "UNSLOTH_FUSED_LORA_DROPOUT"


def expected_groups(recipe: Mapping[str, Any]) -> list[str]:
    """The groups of layers whose fused kernels *recipe* (a dumped one) allows, on a GPU."""
    if reason_against(recipe):
        return []
    targets = set(recipe["lora"]["targets"])
    return [name for name, layers in GROUPS.items() if layers <= targets]


def reason_against(recipe: Mapping[str, Any]) -> str | None:
    """Why *recipe* rules the fused LoRA kernels out even on a GPU, or None."""
    if not recipe.get("lanes", {}).get("unsloth", {}).get("fused_lora", True):
        return "lanes.unsloth.fused_lora is false"
    if recipe["train"]["precision"] == "fp32":
        return "the base is float32, and the kernels are made for 16 bits"
    return None


def unfused(targets: Collection[str]) -> str | None:
    """Which adapters run without a fused kernel because their group is not whole, or None."""
    alone = sorted(
        name
        for name in targets
        if not any(name in layers and layers <= set(targets) for layers in GROUPS.values())
    )
    if not alone:
        return None
    return f"no fused kernel for {', '.join(alone)} without the rest of the group"


def fast_path(fused: Collection[str], recipe: Mapping[str, Any], *, device: str) -> dict[str, Any]:
    """What result.json says of it; *fused* are the groups whose kernels were really installed."""
    if device == "cpu":
        reason: str | None = "no GPU: Unsloth's CPU path is plain transformers and peft"
    else:
        reason = reason_against(recipe) or unfused(recipe["lora"]["targets"])
        if reason is None and not fused:
            reason = "Unsloth has none for this model; its log says more"
    return {"on": bool(fused), "fused": sorted(fused), "reason": reason}


def unsloth_settings(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Variables that Unsloth reads when it is imported, as *recipe* wants them."""
    lane = recipe.get("lanes", {}).get("unsloth", {})
    found = {FUSED_DROPOUT: "1" if lane.get("fused_lora", True) else "0"}
    if lane.get("device") == "cpu":
        found["UNSLOTH_FORCE_CPU"] = "1"
    if lane.get("device") == "cuda":
        found["UNSLOTH_DISABLE_CPU_FALLBACK"] = "1"
    return found
