"""The watcher's look at memory: feeds the judge, samples faster when memory is short.

The rule: it reads nothing that the observer has read already, and only one watcher of a machine
speaks of that machine's memory: the one that holds the lock of the run root.
"""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Mapping
from pathlib import Path

from monitor import locks
from monitor.frozen import replace
from monitor.memory_judge import (
    CLOSE_SHARE,
    Budget,
    MemoryLook,
    MemoryState,
    advance_memory,
    judge_memory,
)
from monitor.memory_model import MemoryLevel, MemoryMarks, MemoryVerdict, is_of_others
from monitor.memory_seeds import JUMP, LOAD_JUMP, PEAK
from monitor.model import Observation
from monitor.probes.clock import Now
from monitor.probes.fast_memory import FastMemory
from monitor.probes.holders import largest_beside
from monitor.rundir import RunDir
from monitor.standing import phase_of
from monitor.target import WatchTarget
from monitor.words import gibibytes

HOLDER_EVERY_S = 60.0
"""All of /proc is read for it: some milliseconds."""


class MemoryWatch:
    """Keeps what one watcher knows of the memory, from look to look."""

    def __init__(
        self, run_dir: RunDir, wake: threading.Event, marks: MemoryMarks | None = None
    ) -> None:
        self._state = _restored(marks)
        self._fast = FastMemory(wake)
        self._speaker = HostLock(run_dir.root.parent)
        self._holder: str | None = None
        self._holder_s: float | None = None
        self.verdict: MemoryVerdict | None = None
        """Of the last look; None where the machine's memory could not be read."""

    @property
    def urgent(self) -> bool:
        """The limit was reached just now: the next look cannot wait."""
        return self._fast.urgent

    @property
    def marks(self) -> MemoryMarks:
        """What the next watcher must know."""
        state = self._state
        return MemoryMarks(
            level=state.level,
            reason=state.reason,
            peaks=state.peaks,
            held=state.held,
            unified=state.unified,
        )

    def look(
        self,
        target: WatchTarget,
        observation: Observation,
        seeds: Mapping[str, float] | None,
        now: Now,
    ) -> None:
        """Judge one look."""
        self.verdict = None
        look, budget = look_of(target, observation, now), budget_of(target, seeds)
        if look is None:
            return
        for at_s, memory in self._fast.take():
            if at_s < look.at_s:
                sample = replace(look, at_s=at_s, memory=memory)
                self._state = advance_memory(self._state, sample, budget)
        self._state = advance_memory(self._state, look, budget)
        verdict = judge_memory(self._state, look, budget)
        close = verdict.headroom_bytes < CLOSE_SHARE * verdict.limit_bytes
        self._fast.arm(verdict.limit_bytes if close and not target.final else None)
        self.verdict = self._with_others(replace(verdict, speaks=self._speaker.hold()), look)

    def _with_others(self, verdict: MemoryVerdict, look: MemoryLook) -> MemoryVerdict:
        """Name who else holds most, where memory is short and it is not this run."""
        if verdict.level is MemoryLevel.OK or not is_of_others(verdict.run_share):
            self._holder, self._holder_s = None, None
            return verdict
        if self._holder_s is None or look.at_s - self._holder_s >= HOLDER_EVERY_S:
            self._holder, self._holder_s = _largest_beside(look), look.at_s
        reason = f"{verdict.reason}; this run explains {verdict.run_share:.0%} of the climb"
        if self._holder is not None:
            reason += f"; largest beside it: {self._holder}"
        return replace(verdict, reason=reason, holder=self._holder)

    def close(self) -> None:
        """The watch ends."""
        self._fast.stop()
        self._speaker.release()


def _largest_beside(look: MemoryLook) -> str | None:
    own = frozenset(look.process.pids) if look.process is not None else frozenset()
    on_gpu: dict[int, int] = {}
    for gpu in look.gpus:
        for pid, used in gpu.process_bytes:
            on_gpu[pid] = on_gpu.get(pid, 0) + (used or 0)
    try:
        found = largest_beside(own, on_gpu)
    except OSError:
        return None
    return None if found is None else f"{found.name} ({found.pid}) {gibibytes(found.held_bytes)}"


class HostLock:
    """Whoever holds it speaks for the machine; it is free again when its holder is gone."""

    def __init__(self, root: Path) -> None:
        self._path = root / f".memory-{platform.node() or 'host'}.lock"
        self._descriptor: int | None = None
        self._alone = False

    def hold(self) -> bool:
        """Take the lock if it is free, and say whether we have it."""
        if self._descriptor is None and not self._alone:
            try:
                self._descriptor = locks.take(self._path)
            except OSError:
                self._alone = True  # where no lock can be made, nobody can hold it either
        return self._alone or self._descriptor is not None

    def release(self) -> None:
        """Let another watcher speak."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def look_of(target: WatchTarget, observation: Observation, now: Now) -> MemoryLook | None:
    """What the judge needs of *observation*; None without the machine's memory."""
    machine = observation.machine
    if machine is None or machine.memory is None:
        return None
    history, beat = observation.history, observation.heartbeat
    reading = observation.checkpoints
    proven = reading is not None and (reading.tracker is not None or bool(reading.checkpoints))
    told = observation.log_progress
    return MemoryLook(
        at_s=now.monotonic_s,
        wall_s=now.wall_s,
        memory=machine.memory,
        gpus=machine.gpus,
        process=observation.process,
        identity=target.process,
        stage=observation.stage,
        phase=phase_of(observation),
        iterating=beat is None and (proven or (told is not None and bool(told.iteration))),
        saved=history.saves_this_process > 0,
    )


def budget_of(target: WatchTarget, seeds: Mapping[str, float] | None) -> Budget:
    """What the run may use, and what its recipe's last run took."""
    known = seeds or {}
    plan = max(known.get(PEAK, 0.0), float(target.memory_estimate_bytes or 0))
    return Budget(
        limit_bytes=target.memory_limit_bytes,
        gpu_limit_bytes=target.gpu_limit_bytes,
        plan_bytes=int(plan) or None,
        load_jump_bytes=_whole(known.get(LOAD_JUMP)),
        jump_bytes=_whole(known.get(JUMP)),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _restored(marks: MemoryMarks | None) -> MemoryState:
    if marks is None:
        return MemoryState()
    return MemoryState(
        level=marks.level,
        reason=marks.reason,
        peaks=marks.peaks,
        held=marks.held,
        unified=marks.unified,
    )
