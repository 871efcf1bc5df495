"""Is there room for what a run writes: pull, import, checkpoints, export. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from monitor.words import gibibytes
from runners.doctor.base_shape import BaseShape
from runners.doctor.facts import DockerFacts, LaunchFacts
from runners.doctor.values import Check, fail, ok, warn

CHECKPOINT_BYTES = {"nemo": 14, "unsloth": 12, "reference": 12}
"""Of a checkpoint for each trainable weight: Adam's two moments and the weight itself in fp32 (the
nemo lane keeps one in 16 bits as well; 149 MB were measured for 10.6 million)."""
FILES_BYTES, TOKEN_BYTES = 1 << 20, 150
"""Beside the tensors: states and configurations, and a tokenizer's files for each of its tokens
(11 MB of tokenizer.json for Qwen3's 151,936)."""
EXPORT_WEIGHT_BYTES = 2
UNPACKED = 3
"""An image on disk against its compressed layers, both kept while it is pulled."""
CONTAINER_BYTES = 64 << 20
"""What an engine needs to make a container, whose stage writes to mounts alone."""
MARGIN = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskNeed:
    """Bytes that a run will write at most."""

    checkpoints: int
    count: int
    """Of checkpoints."""
    export: int
    imported: int = 0


def disk_need(shape: BaseShape, recipe: Mapping[str, Any], lane: str) -> DiskNeed:
    """What *recipe* writes in *lane*, with an import where the lane makes one."""
    train, lora = recipe["train"], recipe["lora"]
    if train["iterations"] == "auto":
        count = int(train["auto_checkpoints"]) + 1
    else:
        count = -(-int(train["iterations"]) // int(train["save_interval"]))
    if train["keep_last"]:
        count = min(count, int(train["keep_last"]) + 1)  # one more while it is written
    trainable = shape.adapter_parameters(lora["rank"], lora["targets"])
    files = FILES_BYTES + TOKEN_BYTES * shape.vocabulary
    one = trainable * CHECKPOINT_BYTES.get(lane, 14) + files
    weights = shape.parameters * EXPORT_WEIGHT_BYTES
    return DiskNeed(
        checkpoints=count * one,
        count=count,
        export=weights + 4 * trainable + files,
        imported=weights if lane == "nemo" else 0,
    )


def disk_checks(launch: LaunchFacts, docker: DockerFacts) -> Iterator[Check]:
    """Room for what will be written, and a file system that can be trusted with it."""
    yield _place_check(launch)
    if launch.cache.problem is not None and _shares(launch):
        yield fail(
            "cache folder",
            f"{launch.cache.problem}, where the {launch.lane} lane keeps what its runs share",
            "set LANEWATCH_CACHE to a folder you may write to",
            overridable=False,
        )
    shape = launch.base.shape
    if shape is None:
        yield warn(
            "disk",
            "what the run will write is not known, without its base's sizes",
            "have the base model here first, or keep twice its size free",
        )
    else:
        yield _room_check(launch, disk_need(shape, launch.recipe, launch.lane))
    if launch.image is not None and launch.image.pull_bytes and launch.image.local is False:
        yield _pull_room_check(launch.image.pull_bytes, docker)
    elif launch.in_container and docker.data_free_bytes is not None:
        yield _container_room_check(docker.data_free_bytes, docker.data_root)


def _shares(launch: LaunchFacts) -> bool:
    """The lane writes into the cache: an imported base, or an environment that it installs."""
    unsloth = (launch.recipe.get("lanes") or {}).get("unsloth") or {}
    return launch.lane == "nemo" or (
        launch.lane == "unsloth" and unsloth.get("packages") != "interpreter"
    )


def _place_check(launch: LaunchFacts) -> Check:
    place, name = launch.runs, "runs folder"
    if place.problem is not None:
        return fail(name, place.problem, "set LANEWATCH_RUNS to a folder you may write to",
                    overridable=False)  # fmt: skip
    if not place.local:
        return fail(
            name,
            f"{place.path} is on {place.kind or 'a network file system'}",
            "set LANEWATCH_RUNS to a local disk: locks and the history need one",
        )
    return ok(name, f"{place.path}" + (f" on {place.kind}" if place.kind else ""))


def _room_check(launch: LaunchFacts, need: DiskNeed) -> Check:
    name, runs, cache = "disk", launch.runs, launch.cache
    own, shared = need.checkpoints + need.export, need.imported
    what = f"{need.count} checkpoints {gibibytes(need.checkpoints)}, export "
    what += gibibytes(need.export) + (f", import {gibibytes(shared)}" if shared else "")
    same = runs.device is not None and runs.device == cache.device
    wanted = [(runs.path, own + (shared if same else 0), runs.free_bytes)]
    if shared and not same:
        wanted.append((cache.path, shared, cache.free_bytes))
    for path, count, free in wanted:
        if free is None:
            return warn(name, f"what is free in {path} cannot be read", "look at it with `df`")
        if free < count:
            seen = f"{what}; {gibibytes(free)} are free in {path}"
            return fail(name, seen, "free some (`lanewatch prune`), or set train.keep_last")
        if free < MARGIN * count:
            seen = f"{what}; {gibibytes(free)} are free in {path}"
            return warn(name, seen, "free some (`lanewatch prune`): little would be left")
    free = runs.free_bytes or 0
    return ok(name, f"{what}; {gibibytes(free)} are free in {runs.path}")


def _container_room_check(free: int, where: str | None) -> Check:
    name = "docker disk"
    seen = f"{gibibytes(free)} are free where Docker keeps its data ({where})"
    if free < CONTAINER_BYTES:
        remedy = "`docker system df` shows what fills it, `docker image prune` frees some"
        return fail(name, f"{seen}, too little to make a container", remedy)
    return ok(name, seen)


def _pull_room_check(pull: int, docker: DockerFacts) -> Check:
    name, need = "disk for the pull", UNPACKED * pull
    where = docker.data_root or "Docker's data root"
    free = docker.data_free_bytes
    if free is None:
        return warn(
            name,
            f"the pull needs about {gibibytes(need)} in {where}, whose free space is not known",
            "look at it with `df`",
        )
    seen = f"the pull needs about {gibibytes(need)}; {gibibytes(free)} are free in {where}"
    if free < need:
        return fail(name, seen, "free some there: `docker system df` says what images hold")
    return ok(name, seen)
