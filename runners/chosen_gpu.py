"""The GPU that a recipe names (`run.gpu`), for a process and for what is trained. Pure.

The rule: who names a GPU gets that one or a refusal, never another one and never the CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def named_gpu(recipe: Mapping[str, Any]) -> str | None:
    """The number that a dumped *recipe* names; runs of before there was one name none."""
    table = recipe.get("run")
    named = table.get("gpu") if isinstance(table, Mapping) else None
    return named if isinstance(named, str) else None


def only(gpu: str) -> dict[str, str]:
    """The variables by which CUDA shows a process that GPU alone."""
    # By the bus, as nvidia-smi counts; CUDA by itself begins with the fastest.
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": gpu}


def insisting(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """*recipe* (a dumped one), with a GPU insisted on by lanes that would else look for one."""
    lanes = recipe.get("lanes")
    if named_gpu(recipe) is None or not isinstance(lanes, Mapping):
        return recipe
    return {**recipe, "lanes": {name: _insisting(table) for name, table in lanes.items()}}


def _insisting(table: object) -> object:
    if isinstance(table, Mapping) and table.get("device") == "auto":
        return {**table, "device": "cuda"}
    return table
