"""Take some samples of stacks over a few seconds, and what the kernel counts meanwhile.

The rule: the bounds of the diagnosis are kept, and a process that refuses once is not asked again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from monitor.diagnosis import faulthandler_dump, rights
from monitor.diagnosis.bounds import ASKED_END_S, NATIVE_END_S, SAMPLES_END_S, Bounds
from monitor.diagnosis.kernel_threads import Count, read_counts
from monitor.diagnosis.pyspy import Spy
from monitor.diagnosis.values import Stack
from monitor.target import WatchTarget

SAMPLES = 6
PAUSE_S = 0.5
LEAST_S = 0.3
"""With less time left no stacks are asked for."""
NATIVE_UNTIL_S = 6.0
"""Where the samples took longer, the machine would not read the symbols in time either."""


@dataclass(slots=True)
class Taken:
    """What some seconds of sampling gave."""

    before: dict[tuple[int, int], Count]
    after: dict[tuple[int, int], Count] = field(default_factory=dict)
    """Before anything that wakes the trainer's threads: native frames, a signal."""
    seconds: float = 0.0
    source: str | None = None
    samples: list[Sequence[Stack]] = field(default_factory=list)
    native: Sequence[Stack] = ()
    missing: list[str] = field(default_factory=list)

    def ask(self, target: WatchTarget, bounds: Bounds) -> None:
        """Have the trainer write its stacks by itself; two answers are compared like samples."""
        assert target.process is not None
        assert target.log is not None
        most_s = faulthandler_dump.ANSWER_S
        limit_s = bounds.left(ASKED_END_S, most_s)
        first = faulthandler_dump.ask(target.process, target.log, limit_s)
        if first:
            limit_s = bounds.left(ASKED_END_S, most_s)
            second = faulthandler_dump.ask(target.process, target.log, limit_s)
            self.samples = [each for each in (first, second) if each]
            self.source = "faulthandler"


def take(
    pids: Sequence[int], spy: Spy, *, native: bool = False, bounds: Bounds | None = None
) -> Taken:
    """Sample *pids* for some seconds; the first of them is the trainer.

    A file system that did not answer may have taken of the *bounds* already.
    """
    taken = Taken(read_counts(pids))
    began = time.monotonic()
    bounds = bounds or Bounds(began)
    if not pids:
        return taken
    problem = spy.available()
    if problem is not None:
        taken.missing.append(problem)
    asked = list(pids) if problem is None else []
    for number in range(SAMPLES):
        if number and bounds.over(SAMPLES_END_S):
            break
        sample = _sample(spy, asked, taken, pids[0], bounds)
        if sample:
            taken.samples.append(sample)
            taken.source = "py-spy"
        time.sleep(PAUSE_S)
    taken.after, taken.seconds = read_counts(pids), time.monotonic() - began
    if bounds.over(SAMPLES_END_S) and asked and not taken.samples:
        taken.missing.append("stacks: the machine is too busy, none could be taken in time")
    if native and asked and not bounds.over(NATIVE_UNTIL_S):
        taken.native = _native(spy, asked, taken, bounds)
    elif native and asked:
        taken.missing.append("native frames: the machine is too busy, the samples took too long")
    return taken


def _sample(spy: Spy, asked: list[int], taken: Taken, first: int, bounds: Bounds) -> list[Stack]:
    sample: list[Stack] = []
    for pid in tuple(asked):
        limit_s = bounds.left(SAMPLES_END_S, spy.dump_s)
        if limit_s < LEAST_S:
            break
        got = spy.dump(pid, limit_s=limit_s)
        sample += got.stacks
        if got.refused or got.foreign:
            asked.remove(pid)
            if pid == first:
                why = rights.missing_right(pid) if got.refused else f"stacks: {got.problem}"
                taken.missing.append(why)
    return sample


def _native(spy: Spy, asked: Sequence[int], taken: Taken, bounds: Bounds) -> list[Stack]:
    """One sample with native calls; the trainer alone is worth its pause."""
    limit_s = bounds.left(NATIVE_END_S, spy.native_s)
    got = spy.dump(asked[0], native=True, limit_s=limit_s)
    if got.problem:
        taken.missing.append(f"native frames: {got.problem}")
    return list(got.stacks)
