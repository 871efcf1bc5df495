"""What of a recipe cannot be the same in the `nemo` lane as in the `reference` lane. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runners.payload.causes import StageError
from runners.payload.nemo_adapter import TRACKERS, adapter_targets
from runners.payload.nemo_yarn import yarn_fields
from runners.recipe.model import Recipe


def nemo_column(recipe: Recipe, config: Mapping[str, Any] | None) -> Sequence[str]:
    """Return the differences, each with its reason."""
    refused = list(nemo_refusals(recipe, config))
    if refused:
        return [f"cannot train this recipe: {each}" for each in refused]
    return list(_differences(recipe))


def nemo_refusals(recipe: Recipe, config: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield why the lane would not start; *config* is the base's config.json, where it is known."""
    fused = recipe.lanes.nemo.lora == "fused"
    try:
        adapter_targets(recipe.lora.targets, fused=fused)
    except StageError as error:
        yield str(error)
    if recipe.train.iterations == "auto":
        yield 'train.iterations = "auto" is for the other lanes; give a number'
    if unknown := sorted(set(recipe.train.report_to) - TRACKERS):
        known = " and ".join(sorted(TRACKERS))
        yield f"train.report_to: it can report to {known}, not {unknown[0]}"
    try:
        yarn_fields(config or {})
    except StageError as error:
        yield str(error)
    except (TypeError, ValueError) as error:
        yield f"the rope in the base's config.json cannot be read: {error}"


def _differences(recipe: Recipe) -> Iterator[str]:
    if recipe.lanes.nemo.lora == "fused":
        yield (
            'adapter: lanes.nemo.lora = "fused" (the article\'s): q, k and v share one A, gate and '
            "up another; fewer parameters, another model than the other lanes train"
        )
    yield (
        "the adapter's first values and the drop-outs are drawn by Megatron: the same distribution "
        "and seed, other numbers; losses agree in the first iteration, then nearly"
    )
    if recipe.train.precision == "bf16":
        yield (
            "the adapter is trained in bf16 with an fp32 copy in the optimizer; the other lanes "
            "keep it in fp32 alone"
        )
    if recipe.data.eval_interval:
        yield "evaluation loss: the mean over tokens; the other lanes' over batches"
    yield (
        "a checkpoint also holds the optimizer in Megatron's format: it can be resumed in this "
        "lane alone"
    )
