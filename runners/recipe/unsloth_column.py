"""What of a recipe cannot be the same in the `unsloth` lane as in the `reference` lane. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runners.payload.unsloth_paths import expected_groups, reason_against, unfused
from runners.recipe.model import Recipe

WHOLE = ("lm_head", "embed_tokens")
"""Unsloth's get_peft_model takes these out of the targets and into modules_to_save."""


def unsloth_column(
    recipe: Recipe,
    config: Mapping[str, Any] | None,  # noqa: ARG001 - the signature is given
) -> Sequence[str]:
    """Return the differences, each with its reason."""
    if refused := list(unsloth_refusals(recipe)):
        return [f"cannot train this recipe: {each}" for each in refused]
    lane = recipe.lanes.unsloth
    found = []
    if lane.load_in_4bit:
        found.append(
            "the base: quantised to 4 bits while training (load_in_4bit), so losses differ from "
            "the first iteration; the merge goes into the 16-bit base"
        )
    if lane.device == "cpu":
        return found  # the same arithmetic as the reference lane, seen to 1e-6
    found.append(f"{_kernels(recipe)} (on a CPU: none, as the reference lane)")
    found.append(
        "on a GPU the adapter's first values and the drop-outs are drawn there: the same seed and "
        "distribution, other numbers; losses agree in the first iteration, then nearly"
    )
    found.append(
        "activations are checkpointed by Unsloth, partly into host memory: other peaks of memory, "
        "the same numbers"
    )
    return found


def unsloth_refusals(recipe: Recipe, _config: Mapping[str, Any] | None = None) -> Iterator[str]:
    """Yield why the lane would not start."""
    for each in recipe.lora.targets:
        if each.rpartition(".")[2] in WHOLE:
            yield f"lora.targets: Unsloth trains {each} whole, not by an adapter"


def _kernels(recipe: Recipe) -> str:
    dumped = recipe.model_dump(mode="json")
    if reason := reason_against(dumped):
        return f"fused LoRA kernels: none, because {reason}"
    groups = expected_groups(dumped)
    left = unfused(recipe.lora.targets)
    text = f"fused LoRA kernels: {', '.join(groups) or 'none'}"
    if recipe.lora.dropout > 0 and groups:
        text += f", with dropout {recipe.lora.dropout:g}"
    return f"{text}; {left}" if left else text
