"""What the doctor says of memory: safe, tight or refused, and who holds it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from examined import DOCKER, GIB, SPARK, check, facts, launch, memory

from monitor.memory_return import Holder
from monitor.readings import GpuReading
from runners.doctor.facts import (
    BaseFacts,
    ContainerFacts,
    DriverFacts,
)
from runners.doctor.memory_checks import held_by
from runners.doctor.values import Level

VLLM = "ab" * 32


@pytest.mark.parametrize(
    ("held", "word", "level"),
    [
        pytest.param(memory(), "safe", Level.OK, id="an idle Spark"),
        pytest.param(memory(available=60), "safe", Level.OK, id="half of it in use"),
        pytest.param(memory(available=45, free=40), "tight", Level.WARN, id="little would be left"),
        pytest.param(memory(available=35, free=30), "refuse", Level.FAIL, id="beyond the limit"),
        pytest.param(
            memory(available=100, free=4), "tight", Level.WARN, id="page cache holds the rest"
        ),
    ],
)
def test_memory_of_a_unified_machine(held: Any, word: str, level: Level) -> None:
    found = check(facts(machine=replace(SPARK, memory=held)), "memory")
    assert (found.seen.partition(":")[0], found.level) == (word, level)


def test_what_page_cache_could_give_back_is_told_with_how() -> None:
    found = check(facts(machine=replace(SPARK, memory=memory(available=100, free=4))), "memory")
    assert "could give back 96.0 GiB" in found.seen
    assert "drop_caches" in (found.remedy or "")


def test_a_refusal_names_who_holds_the_memory() -> None:
    holders = (Holder(pid=7, name="python", gpu_bytes=61 * GIB, container=VLLM[:12]),)
    machine = replace(SPARK, memory=memory(available=35, free=30), holders=holders)
    found = check(facts(machine=machine), "memory")
    assert "61.0 GiB" in (found.remedy or "")


def test_a_run_that_waits_is_only_held_against_the_machine_as_a_whole() -> None:
    full = replace(SPARK, memory=memory(available=10, free=1))
    assert check(facts(machine=full, given=launch(waits=True)), "memory").level is Level.OK
    small = replace(SPARK, memory=memory(total=24, available=20, free=20))
    assert check(facts(machine=small, given=launch(waits=True)), "memory").level is Level.FAIL


def test_a_limit_of_ones_own_counts() -> None:
    machine = replace(SPARK, limit_bytes=20 * GIB)
    assert check(facts(machine=machine), "memory").level is Level.FAIL


@pytest.mark.parametrize(
    ("used", "level"),
    [
        pytest.param(0, Level.OK, id="idle"),
        pytest.param(60, Level.FAIL, id="full"),
    ],
)
def test_a_gpu_with_memory_of_its_own(used: int, level: Level) -> None:
    gpu = GpuReading(
        index=0,
        name="H100",
        shares_memory=False,
        memory_total_bytes=80 * GIB,
        memory_used_bytes=used * GIB,
    )
    driver = DriverFacts(version="580.1", gpus=(gpu,))
    machine = replace(SPARK, unified=False, driver=driver)
    assert check(facts(machine=machine), "gpu memory").level is level
    assert check(facts(machine=machine), "memory").level is Level.OK


def test_who_holds_memory_by_container_or_process() -> None:
    holders = (
        Holder(pid=7, name="python", rss_bytes=GIB, gpu_bytes=60 * GIB, container=VLLM[:12]),
        Holder(pid=8, name="python", rss_bytes=2 * GIB, container=VLLM[:12]),
        Holder(pid=9, name="firefox", rss_bytes=3 * GIB),
        Holder(pid=10, name="bash", rss_bytes=GIB // 8),
    )
    named = (ContainerFacts(id=VLLM, name="vllm", running=True),)
    assert held_by(holders, named) == [
        ("container vllm", 63 * GIB),
        ("process firefox (9)", 3 * GIB),
    ]
    machine = replace(SPARK, holders=holders)
    found = check(facts(machine=machine, docker=replace(DOCKER, containers=named)), "holders")
    assert "container vllm: 63.0 GiB" in found.seen


def test_an_unknown_base_leaves_the_memory_unknown_and_says_what_measures_it() -> None:
    base = BaseFacts(name="q", folder="/q", bytes=GIB)
    found = check(facts(given=launch(base=base)), "memory")
    assert found.level is Level.WARN
    assert "--smoke" in (found.remedy or "")
