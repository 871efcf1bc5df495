"""Simulated memory of a DGX Spark over whole runs, for the tests and the bench of the judge.

Shaped by what was measured elsewhere: 16 GB of weights that load at disk speed, with a shard held
twice for a moment; a compiler's burst in the first iteration; an allocator that grows in steps;
saves and evaluations that take a little more for a while; an import and a merge of up to 48 GiB.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from monitor.memory_judge import (
    Budget,
    MemoryLevel,
    MemoryLook,
    MemoryState,
    advance_memory,
    judge_memory,
)
from monitor.model import Phase, ProcessId, Stage
from monitor.readings import GpuReading, MemoryReading, ProcessReading

GIB = 1 << 30
TOTALS = (119.6, 121.7)
SPARK = 121.69
PID = 4711
IDENTITY = ProcessId(pid=PID, boot_id="b", start_ticks=1)


@dataclass(frozen=True, slots=True)
class Second:
    """What a simulated second needs: how much the run holds, and what it is at."""

    gib: float
    stage: str
    phase: Phase | None = None
    saved: bool = False


@dataclass(slots=True)
class Machine:
    """A box: its own use, its noise, its clock."""

    rng: random.Random
    total_gib: float = SPARK
    base_gib: float = 6.0
    noise_gib: float = 0.05
    unified: bool = True
    at_s: float = 1000.0
    drift: float = field(default=0.0, init=False)

    def look(self, second: Second) -> MemoryLook:
        """The probes' view of one second."""
        self.at_s += 1.0
        # Noise of allocators and of other processes wanders, it is not drawn anew each second.
        self.drift = 0.8 * self.drift + self.rng.gauss(0, 0.6 * self.noise_gib)
        used = min(self.base_gib + second.gib + self.drift, self.total_gib)
        host = min(second.gib, 2.0)
        total = int(self.total_gib * GIB)
        memory = MemoryReading(
            total_bytes=total,
            available_bytes=total - int(used * GIB),
            free_bytes=0,
            cached_bytes=8 * GIB,
        )
        gpu = GpuReading(
            index=0,
            name="NVIDIA GB10",
            shares_memory=self.unified or None,
            process_bytes=((PID, int((second.gib - host) * GIB)),),
        )
        living = second.gib > 0
        return MemoryLook(
            at_s=self.at_s,
            memory=memory,
            gpus=(gpu,),
            process=ProcessReading(alive=living, rss_bytes=int(host * GIB), pids=(PID,)),
            identity=IDENTITY,
            stage=second.stage,
            phase=second.phase,
            iterating=second.phase in (Phase.ITERATION, Phase.SAVING, Phase.EVALUATING),
            saved=second.saved,
        )


def normal_run(rng: random.Random, *, peak_gib: float = 48.0, cycles: int = 4) -> Iterator[Second]:
    """A whole run of either lane that holds *peak_gib* at most, *cycles* saves long."""
    nemo = rng.random() < 0.5
    weights = min(15.3, 0.35 * peak_gib)
    for _ in range(rng.randint(20, 60)):
        yield Second(rng.uniform(0.5, 1.5), Stage.PREPARE)
    if nemo:
        yield from _ramp(rng, 1.0, min(2.2 * weights, peak_gib), Stage.IMPORT, None, 90, 400)
    steady = 0.75 * peak_gib
    yield from _ramp(rng, 0.5, weights, Stage.TRAIN, Phase.LOADING, 5, 60, bump=5.0)
    yield from _ramp(rng, weights, 0.9 * peak_gib, Stage.TRAIN, Phase.FIRST_ITERATION, 5, 60)
    yield from _training(rng, steady, peak_gib, cycles)
    yield from _ramp(rng, 0.5, peak_gib, Stage.MERGE, None, 15, 120, bump=2.0)
    for _ in range(rng.randint(20, 90)):
        yield Second(0.9 * peak_gib, Stage.MERGE)


def _ramp(
    rng: random.Random,
    start: float,
    end: float,
    stage: str,
    phase: Phase | None,
    fastest_s: int,
    slowest_s: int,
    bump: float = 0.0,
) -> Iterator[Second]:
    """From *start* to *end*, with a shard of *bump* held twice now and then."""
    seconds = rng.randint(fastest_s, slowest_s)
    for second in range(seconds):
        twice = rng.uniform(0, bump) if rng.random() < 0.2 else 0.0
        gib = start + (end - start) * (second + 1) / seconds + twice
        yield Second(min(gib, max(start, end)), stage, phase)


def _training(rng: random.Random, steady: float, peak: float, cycles: int) -> Iterator[Second]:
    """Iterations with saves and evaluations between them; the allocator grows in steps."""
    grown = steady
    for cycle in range(cycles):
        saved = cycle > 0
        for _ in range(rng.randint(120, 420)):
            if rng.random() < 0.004 / (1 + cycle):
                grown = min(grown + rng.uniform(0.1, 2.0), 0.92 * peak)
            yield Second(grown, Stage.TRAIN, Phase.ITERATION, saved)
        if rng.random() < 0.5:
            more = rng.uniform(0.3, 4.0)
            for second in range(rng.randint(30, 200)):
                gib = min(grown + more * min(1.0, second / 5), peak)
                yield Second(gib, Stage.TRAIN, Phase.EVALUATING, saved)
        burst = rng.uniform(0.2, 8.0)
        for _ in range(rng.randint(2, 40)):
            yield Second(min(grown + rng.uniform(0, burst), peak), Stage.TRAIN, Phase.SAVING, saved)


def climbing(
    start_gib: float, gib_per_min: float, calm_s: int, stop_gib: float
) -> Iterator[Second]:
    """Calm iterations, then a climb at a steady rate up to *stop_gib* of the run."""
    for _ in range(calm_s):
        yield Second(start_gib, Stage.TRAIN, Phase.ITERATION, saved=True)
    gib = start_gib
    while gib < stop_gib:
        gib += gib_per_min / 60
        yield Second(gib, Stage.TRAIN, Phase.ITERATION, saved=True)


def levels(
    machine: Machine, seconds: Iterator[Second], budget: Budget | None = None
) -> Iterator[tuple[MemoryLook, MemoryState]]:
    """Fold the judge over a simulated run."""
    state, budget = MemoryState(), budget or Budget()
    for second in seconds:
        look = machine.look(second)
        state = advance_memory(state, look, budget)
        yield look, state


def alerts(machine: Machine, seconds: Iterator[Second], budget: Budget | None = None) -> list[str]:
    """The reasons of each rise of the level: what a person would have been told."""
    said: list[str] = []
    before = MemoryLevel.OK
    for _, state in levels(machine, seconds, budget):
        if state.level.rank > before.rank:
            said.append(f"{state.level}: {state.reason}")
        before = state.level
    return said


@dataclass(frozen=True, slots=True)
class Lead:
    """How a simulated climb was told of."""

    lead_min: float | None
    """Minutes from the warning to the limit; None: not warned of before it."""
    waited_s: float
    """From the first second of the climb to the warning."""


def lead_of(
    machine: Machine, gib_per_min: float, headroom_gib: float, budget: Budget | None = None
) -> Lead:
    """Climb from *headroom_gib* below the limit, after ten calm minutes."""
    limit = judge_limit(machine)
    start = limit - headroom_gib - machine.base_gib
    calm_s, warned, began = 650, None, None
    seconds = climbing(start, gib_per_min, calm_s, limit - machine.base_gib + 0.5)
    reached = machine.at_s
    for index, (look, state) in enumerate(levels(machine, seconds, budget)):
        if index == calm_s:
            began = look.at_s
        if state.level is not MemoryLevel.OK and warned is None:
            warned = look.at_s
        reached = look.at_s
        if look.memory.used_bytes >= limit * GIB:
            break
    assert began is not None
    if warned is None:
        return Lead(None, reached - began)
    return Lead((reached - warned) / 60, warned - began)


def judge_limit(machine: Machine) -> float:
    """The limit of *machine* in GiB."""
    look = machine.look(Second(1.0, Stage.PREPARE))
    return judge_memory(MemoryState(), look, Budget()).limit_bytes / GIB
