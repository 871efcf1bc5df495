"""What is the same in every lane for one recipe, and what cannot be. Pure.

The rule: a lane's column names only what differs from the `reference` lane, and why; what is not
named there is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runners.payload.unsloth_paths import MLP
from runners.recipe.model import Recipe
from runners.recipe.nemo_column import nemo_column, nemo_refusals
from runners.recipe.unsloth_column import unsloth_column, unsloth_refusals

EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
"""By one of these a config.json says that its MLP is many: there the count is another."""

Config = Mapping[str, Any] | None
"""The base's config.json, where it is known."""
Column = Callable[[Recipe, Config], Sequence[str]]

REFUSALS: Mapping[str, Callable[[Recipe, Config], Iterable[str]]] = {
    "unsloth": unsloth_refusals,
    "nemo": nemo_refusals,
}
"""Why a lane would not train a recipe; asked before a launch, not after hours of other stages."""

COLUMNS: Mapping[str, Column] = {"unsloth": unsloth_column, "nemo": nemo_column}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The lanes beside each other."""

    alike: tuple[str, ...]
    """What every lane is given alike."""
    differs: Mapping[str, tuple[str, ...]]
    """By lane: what cannot be as in the reference lane."""

    def to_json(self) -> dict[str, Any]:
        """Return what `recipe check --json` prints of it."""
        differs = {lane: list(lines) for lane, lines in self.differs.items()}
        return {"alike": list(self.alike), "differs": differs}

    def lines(self) -> list[str]:
        """Return the same as text, a line each."""
        told = [f"alike     {line}" for line in self.alike]
        for lane, lines in self.differs.items():
            told += [f"{lane:<9} differs: {line}" for line in lines]
        return told


def refusal(recipe: Recipe, lane: str, config: Config = None) -> str | None:
    """Return the first reason why *lane* cannot train *recipe*, or None."""
    return next(iter(REFUSALS[lane](recipe, config)), None) if lane in REFUSALS else None


def compare(recipe: Recipe, config: Config) -> Comparison:
    """Compare the lanes on the base that *config* tells of."""
    return Comparison(
        alike=tuple(_alike(recipe, config)),
        differs={lane: tuple(column(recipe, config)) for lane, column in COLUMNS.items()},
    )


def _alike(recipe: Recipe, config: Config) -> list[str]:
    train, lora = recipe.train, recipe.lora
    count = adapter_parameters(recipe, config)
    size = f"{count:,} parameters" if count is not None else "parameters not known here"
    found = [
        "token ids, loss mask and the order of the rows: made once by `prepare`",
        f"adapter: r {lora.rank}, alpha {lora.alpha:g}, dropout {lora.dropout:g} on "
        f"{', '.join(lora.targets)}: {size}",
        f"batch: {train.micro_batch} x {train.accumulation} = {recipe.batch} rows, padded, not "
        "packed; the loss is the mean over a batch's learnt tokens",
        f"optimizer: AdamW, no weight decay, gradients clipped at 1; {_schedule(recipe)}",
    ]
    if train.report_to:
        found.append(f"reported to {', '.join(train.report_to)} as well")
    return [*found, "export: merged-hf-bf16/ and adapter-hf/, checked against the base"]


def _schedule(recipe: Recipe) -> str:
    train = recipe.train
    if train.iterations == "auto":
        return f"{train.schedule} from {train.lr:g} after {train.warmup:.0%} of the iterations"
    warmup = math.ceil(train.warmup * train.iterations)
    return f"{train.schedule} from {train.lr:g} after {warmup} of {train.iterations} iterations"


def adapter_parameters(recipe: Recipe, config: Config) -> int | None:
    """How many numbers the adapter has on a base of Llama's build; None where that is not known."""
    if config is None:
        return None
    try:
        layers, hidden = int(config["num_hidden_layers"]), int(config["hidden_size"])
        heads, inner = int(config["num_attention_heads"]), int(config["intermediate_size"])
        shared = int(config.get("num_key_value_heads") or heads)
        size = int(config.get("head_dim") or hidden // heads)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    sides = {
        "q_proj": hidden + heads * size,
        "k_proj": hidden + shared * size,
        "v_proj": hidden + shared * size,
        "o_proj": heads * size + hidden,
        "gate_proj": hidden + inner,
        "up_proj": hidden + inner,
        "down_proj": inner + hidden,
    }
    if not sides.keys() >= set(recipe.lora.targets):
        return None
    if any(config.get(name) for name in EXPERTS) and MLP & set(recipe.lora.targets):
        return None
    return layers * recipe.lora.rank * sum(sides[name] for name in recipe.lora.targets)
