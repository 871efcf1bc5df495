"""The experiment trackers that a recipe may report to, and which package each of them needs.

The rule: a package that is missing is told before hours of other stages, not by the trainer.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .causes import StageError

MODULES: Mapping[str, tuple[str, ...]] = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "wandb": ("wandb",),
    "mlflow": ("mlflow",),
    "comet_ml": ("comet_ml",),
    "trackio": ("trackio",),
    "clearml": ("clearml",),
    "codecarbon": ("codecarbon",),
    "dvclive": ("dvclive",),
    "swanlab": ("swanlab",),
}
"""By transformers' name: the modules, any one of which is enough."""

OF_MEGATRON: Mapping[str, tuple[str, ...]] = {"tensorboard": ("tensorboard",), "wandb": ("wandb",)}
"""The same for Megatron-Bridge, which knows no others."""

LOCKS: Mapping[str, str] = {"tensorboard": "tensorboard.lock.txt"}
"""What a lane with packages of its own installs as well when it is to report there."""


def needed(
    recipe: Mapping[str, Any], lane: str, brought: Iterable[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Modules by the name of each tracker that *recipe* names and *brought* does not hold."""
    table = recipe.get("train")
    names = table.get("report_to") if isinstance(table, Mapping) else None
    known, there = OF_MEGATRON if lane == "nemo" else MODULES, {each.lower() for each in brought}
    wanted = {str(name): known.get(str(name), (str(name),)) for name in names or ()}
    return {
        name: modules
        for name, modules in wanted.items()
        if there.isdisjoint(module.lower() for module in modules)
    }


def missing_words(name: str, modules: Sequence[str], where: str) -> str:
    """The sentence for a tracker whose package is not in *where*."""
    return (
        f"train.report_to names {name}, and {where} has no {' or '.join(modules)}: install "
        f"{modules[0]} there, or take {name} out"
    )


def require(recipe: Mapping[str, Any], lane: str, where: str, brought: Iterable[str] = ()) -> None:
    """Raise StageError where this Python lacks what *recipe* is to be reported with."""
    for name, modules in needed(recipe, lane, brought).items():
        if not any(_there(module) for module in modules):
            raise StageError(missing_words(name, modules, where))


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
