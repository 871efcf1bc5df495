"""The watcher's look at memory: faster when it is short, one voice for a machine."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fabricated import FabricatedRun, wait_for
from memory_traces import GIB, Machine, Second

from monitor.memory_judge import MemoryLevel, MemoryPeaks
from monitor.memory_seeds import memory_seeds
from monitor.memory_watch import HostLock, MemoryWatch, budget_of, look_of
from monitor.model import MachineReading, Observation, Phase, Stage
from monitor.probes.clock import read_now
from monitor.probes.fast_memory import FastMemory
from monitor.readings import MemoryReading
from monitor.rundir import RunDir
from monitor.target import read_target


def reading(used_gib: float) -> MemoryReading:
    total = 122 * GIB
    return MemoryReading(
        total_bytes=total,
        available_bytes=total - int(used_gib * GIB),
        free_bytes=0,
        cached_bytes=0,
    )


@pytest.fixture
def wake() -> threading.Event:
    return threading.Event()


class Readings:
    """What /proc/meminfo says next; the last stays."""

    def __init__(self, *used: float) -> None:
        self.used = list(used)
        self.reads = 0

    def __call__(self) -> MemoryReading:
        self.reads += 1
        return reading(self.used.pop(0) if len(self.used) > 1 else self.used[0])


def test_it_rests_until_it_is_armed(wake: threading.Event) -> None:
    read = Readings(50)
    fast = FastMemory(wake, 0.005, read)
    fast.arm(None)
    time.sleep(0.05)
    assert read.reads == 0
    fast.arm(110 * GIB)
    wait_for(lambda: len(fast.take()) > 0)
    fast.arm(None)
    fast.stop(5)


def test_two_samples_over_the_limit_wake_the_watcher_and_one_does_not(
    wake: threading.Event,
) -> None:
    read = Readings(50, 111, 50, 111, 50)
    fast = FastMemory(wake, 0.005, read)
    fast.arm(110 * GIB)
    wait_for(lambda: read.reads > 8)
    assert not wake.is_set()
    read.used = [111]
    assert wake.wait(10)
    assert fast.urgent
    taken = fast.take()
    assert [at for at, _ in taken] == sorted(at for at, _ in taken)
    assert not fast.urgent
    fast.stop(5)


def test_a_sample_that_cannot_be_read_is_none(wake: threading.Event) -> None:
    fast = FastMemory(wake, 0.005, lambda: None)
    fast.arm(110 * GIB)
    time.sleep(0.05)
    assert fast.take() == []
    fast.stop(5)


def test_one_watcher_speaks_for_a_machine_and_another_takes_over(tmp_path: Path) -> None:
    first, second = HostLock(tmp_path), HostLock(tmp_path)
    assert first.hold()
    assert not second.hold()
    assert first.hold()
    first.release()
    assert second.hold()
    second.release()


def test_where_no_lock_can_be_made_everyone_speaks(tmp_path: Path) -> None:
    lock = HostLock(tmp_path / "missing")
    assert lock.hold()
    assert lock.hold()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[FabricatedRun]:
    made = FabricatedRun(tmp_path / "runs" / "reference-1")
    yield made
    made.close()


def test_what_run_json_says_of_the_budget(run: FabricatedRun) -> None:
    memory = {"limit_gib": 80, "gpu_limit_gib": 70.5, "at_limit": "stop-now"}
    run.write_run(recipe={"memory": memory}, memory_estimate_bytes=40 * GIB)
    target = read_target(run.root)
    assert target.at_limit == "stop-now"
    seeds = {"memory_peak_bytes": 45.0 * GIB, "memory_jump_bytes": 3.0 * GIB, "save": 4.0}
    budget = budget_of(target, seeds)
    assert budget.limit_bytes == 80 * GIB
    assert budget.gpu_limit_bytes == int(70.5 * GIB)
    assert budget.plan_bytes == 45 * GIB
    assert budget.jump_bytes == 3 * GIB
    assert budget.load_jump_bytes is None
    assert budget_of(target, None).plan_bytes == 40 * GIB


def test_what_a_run_teaches_the_next_one_of_its_recipe() -> None:
    peaks = MemoryPeaks(used_bytes=45 * GIB, jump_bytes=3 * GIB)
    assert memory_seeds(peaks) == {
        "memory_peak_bytes": 45.0 * GIB,
        "memory_jump_bytes": 3.0 * GIB,
    }
    assert memory_seeds(None) == {}


@pytest.mark.parametrize("garbage", [None, "x", -4, True, {}, 1e400, [1]])
def test_a_budget_that_is_none(run: FabricatedRun, garbage: object) -> None:
    value = None if garbage == 1e400 else garbage
    memory = {"limit_gib": value, "gpu_limit_gib": value, "at_limit": value}
    run.write_run(recipe={"memory": memory}, memory_estimate_bytes=value)
    budget = budget_of(read_target(run.root), None)
    assert (budget.limit_bytes, budget.gpu_limit_bytes, budget.plan_bytes) == (None, None, None)


def test_a_watch_continues_level_and_peaks(run: FabricatedRun) -> None:
    run.train()
    target, machine = read_target(run.root), Machine(random.Random(1), noise_gib=0.0)

    def observation(gib: float) -> Observation:
        look = machine.look(Second(gib, Stage.TRAIN, Phase.ITERATION))
        return Observation(
            run="r",
            taken_at=1.0,
            stage="train",
            process=look.process,
            machine=MachineReading(memory=look.memory, gpus=look.gpus),
        )

    first = MemoryWatch(RunDir(run.root), threading.Event())
    for _ in range(3):
        first.look(target, observation(98.0), None, read_now())
        time.sleep(0.01)
    marks = first.marks
    first.close()
    assert marks.level is MemoryLevel.WARN
    assert marks.held is not None
    assert marks.held.process == target.process
    second = MemoryWatch(RunDir(run.root), threading.Event(), marks)
    second.look(target, observation(40.0), None, read_now())
    assert second.verdict is not None
    assert second.verdict.level is MemoryLevel.WARN
    assert second.marks.peaks.used_bytes == marks.peaks.used_bytes
    second.close()


@pytest.mark.parametrize(
    ("others_gib", "own_gib", "said"),
    [
        pytest.param(4.0, 0.0, True, id="others climb"),
        pytest.param(0.0, 4.0, False, id="this run climbs"),
    ],
)
def test_who_holds_memory_is_named_where_it_is_not_this_run(
    run: FabricatedRun, others_gib: float, own_gib: float, said: bool
) -> None:
    run.train()
    target, machine = read_target(run.root), Machine(random.Random(1), noise_gib=0.0)
    watch = MemoryWatch(RunDir(run.root), threading.Event())
    for step in range(4):
        machine.base_gib = 80.0 + others_gib * step
        look = machine.look(Second(20.0 + own_gib * step, Stage.TRAIN, Phase.ITERATION))
        seen = Observation(
            run="r",
            taken_at=1.0,
            stage="train",
            process=look.process,
            machine=MachineReading(memory=look.memory, gpus=look.gpus),
        )
        watch.look(target, seen, None, replace(read_now(), monotonic_s=1000.0 + step))
    verdict = watch.verdict
    watch.close()
    assert verdict is not None
    assert verdict.level is not MemoryLevel.OK
    assert ("; this run explains 0% of the climb; largest beside it: " in verdict.reason) is said
    assert (verdict.holder is not None) is said
    assert verdict.holder is None or verdict.holder in verdict.reason


def test_without_the_machines_memory_there_is_no_verdict(run: FabricatedRun) -> None:
    run.write_state()
    target = read_target(run.root)
    observation = Observation(run="r", taken_at=0.0)
    assert look_of(target, observation, read_now()) is None
    watch = MemoryWatch(RunDir(run.root), threading.Event())
    watch.look(target, observation, None, read_now())
    assert watch.verdict is None
    watch.close()


def test_a_real_watcher_tells_memory_and_peaks(run: FabricatedRun) -> None:
    run.train()
    run.watch()
    wait_for(lambda: (run.watched("memory", "peaks", "rss_bytes") or 0) > 0)
    verdict = run.watched("memory_verdict")
    assert verdict["level"] == "ok"
    assert verdict["used_bytes"] + verdict["available_bytes"] > 0
    assert verdict["speaks"] is True
    assert run.watched("memory", "held", "process", "pid") == run.trainer.pid
    assert run.watched("parts", "memory-guard", "level") == "ok"
