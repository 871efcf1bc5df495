"""Take some samples of stacks over a few seconds, and what the kernel counts meanwhile.

The rule: no sample is begun after `LONGEST_S`, and a process that refuses once is not asked again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from monitor.diagnosis import faulthandler_dump, rights
from monitor.diagnosis.kernel_threads import read_ticks
from monitor.diagnosis.pyspy import Spy
from monitor.diagnosis.values import Stack
from monitor.target import WatchTarget

SAMPLES = 6
PAUSE_S = 0.5
LONGEST_S = 9.0
"""So long after the diagnosis began no further sample is."""
NATIVE_UNTIL_S = 6.0
"""Symbols may take 8 s to be read; all of it is to take no longer than 15."""


@dataclass(slots=True)
class Taken:
    """What some seconds of sampling gave."""

    ticks: dict[tuple[int, int], int]
    seconds: float = 0.0
    source: str | None = None
    samples: list[Sequence[Stack]] = field(default_factory=list)
    native: Sequence[Stack] = ()
    missing: list[str] = field(default_factory=list)

    def ask(self, target: WatchTarget) -> None:
        """Have the trainer write its stacks by itself; two answers are compared like samples."""
        assert target.process is not None
        assert target.log is not None
        first = faulthandler_dump.ask(target.process, target.log)
        if first:
            second = faulthandler_dump.ask(target.process, target.log)
            self.samples = [each for each in (first, second) if each]
            self.source = "faulthandler"


def take(
    pids: Sequence[int], spy: Spy, *, native: bool = False, since_s: float | None = None
) -> Taken:
    """Sample *pids* for some seconds; the first of them is the trainer.

    *since_s* is when the diagnosis began (CLOCK_MONOTONIC): a file system that did not answer has
    taken of its time already.
    """
    taken = Taken(read_ticks(pids))
    began = time.monotonic()
    since_s = began if since_s is None else since_s
    if not pids:
        return taken
    problem = spy.available()
    if problem is not None:
        taken.missing.append(problem)
    asked = list(pids) if problem is None else []
    for number in range(SAMPLES):
        if number and time.monotonic() - since_s > LONGEST_S:
            break
        sample = _sample(spy, asked, taken, pids[0], since_s + LONGEST_S)
        if sample:
            taken.samples.append(sample)
            taken.source = "py-spy"
        time.sleep(PAUSE_S)
    if native and asked and time.monotonic() - since_s < NATIVE_UNTIL_S:
        taken.native = _native(spy, asked, taken)
    elif native and asked:
        taken.missing.append("native frames: the machine is too busy, the samples took too long")
    taken.seconds = time.monotonic() - began
    return taken


def _sample(spy: Spy, asked: list[int], taken: Taken, first: int, until_s: float) -> list[Stack]:
    sample: list[Stack] = []
    for pid in tuple(asked):
        if pid != first and time.monotonic() > until_s:
            break
        got = spy.dump(pid)
        sample += got.stacks
        if got.refused or got.foreign:
            asked.remove(pid)
            if pid == first:
                why = rights.missing_right(pid) if got.refused else f"stacks: {got.problem}"
                taken.missing.append(why)
    return sample


def _native(spy: Spy, asked: Sequence[int], taken: Taken) -> list[Stack]:
    """One sample with native calls; the trainer alone is worth its pause."""
    got = spy.dump(asked[0], native=True)
    if got.problem:
        taken.missing.append(f"native frames: {got.problem}")
    return list(got.stacks)
