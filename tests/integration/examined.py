"""Facts for the doctor's tests: a launch on which all is well, and ways to spoil it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from monitor.readings import GpuReading, MemoryReading
from runners.doctor.base_shape import BaseShape
from runners.doctor.examine import estimate_of
from runners.doctor.facts import (
    BaseFacts,
    DiskFacts,
    DockerFacts,
    DriverFacts,
    Facts,
    ImageFacts,
    LaunchFacts,
    LimitFacts,
    MachineFacts,
    SessionFacts,
)
from runners.doctor.values import Check, Examination
from runners.doctor.verdict import judge
from runners.recipe.model import Recipe

GIB = 1 << 30
QWEN3_8B = BaseShape(
    hidden=4096,
    layers=36,
    heads=32,
    kv_heads=8,
    head_size=128,
    inner=12288,
    vocabulary=151936,
)
"""Qwen3-8B, of which R1-0528-Qwen3-8B is a distillation."""


def recipe(**tables: dict[str, Any]) -> dict[str, Any]:
    """The default recipe, dumped, with some fields changed."""
    data = {"path": "/rows.jsonl"} | tables.pop("data", {})
    return Recipe.model_validate({"data": data, **tables}).model_dump(mode="json")


def memory(total: int = 120, available: int = 110, free: int = 90, **others: int) -> MemoryReading:
    """A machine's memory, in GiB."""
    return MemoryReading(
        total_bytes=total * GIB,
        available_bytes=available * GIB,
        free_bytes=free * GIB,
        cached_bytes=(available - free) * GIB,
        **{name: count * GIB for name, count in others.items()},
    )


SPARK = MachineFacts(
    memory=memory(),
    unified=True,
    limits=LimitFacts(
        open_files=1 << 20,
        processes=1 << 16,
        shm_bytes=60 * GIB,
        shm_free_bytes=60 * GIB,
        inotify_instances=128,
        cores=20,
    ),
    session=SessionFacts(logind=True, linger=True, uid=1000),
    driver=DriverFacts(
        version="580.95.05", gpus=(GpuReading(index=0, name="NVIDIA GB10", shares_memory=True),)
    ),
    kernel="6.17.0-1008-nvidia",
    large_blocks=40_000,
    root="/runs",
)
DOCKER = DockerFacts(
    version="28.3.3",
    runtimes=("nvidia", "runc"),
    live_restore=True,
    data_root="/var/lib/docker",
    data_free_bytes=900 * GIB,
)


def launch(lane: str = "unsloth", engine: str = "docker", **changes: Any) -> LaunchFacts:
    """A launch of the 8 B model."""
    given = LaunchFacts(
        recipe=recipe(),
        lane=lane,
        engine=engine,
        base=BaseFacts(
            name="qwen",
            folder="/models/qwen",
            bytes=16 * GIB,
            largest_file_bytes=4 * GIB,
            shape=QWEN3_8B,
        ),
        runs=DiskFacts(path="/runs", free_bytes=500 * GIB, device=1, kind="ext4"),
        cache=DiskFacts(path="/cache", free_bytes=500 * GIB, device=1, kind="ext4"),
        image=ImageFacts(name="nvcr.io/nvidia/pytorch:25.11-py3", local=True),
        on_gpu=True,
    )
    given = replace(given, **changes)
    return given if given.estimate else replace(given, estimate=estimate_of(given))


def facts(
    machine: MachineFacts = SPARK, docker: DockerFacts = DOCKER, given: LaunchFacts | None = None
) -> Facts:
    return Facts(machine=machine, docker=docker, launch=launch() if given is None else given)


def check(of: Facts, name: str) -> Check:
    """The one check called *name*."""
    found = [each for each in examination(of).checks if each.name == name]
    assert len(found) == 1, [each.name for each in examination(of).checks]
    return found[0]


def examination(of: Facts) -> Examination:
    return judge(of)
