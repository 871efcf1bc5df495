"""Wait, before a stage that takes memory, until the run before has given its own back.

The rule: only what a run on this box held moments ago is waited for, never what others use; and
whoever launches may go on anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from monitor.memory_model import Held
from monitor.memory_return import (
    POLL_S,
    RECENT_S,
    TIMEOUT_S,
    Holder,
    missing_bytes,
    newest_held,
    refusal,
)
from monitor.model import Stage
from monitor.probes.clock import Now, read_now
from monitor.probes.holders import read_holders
from monitor.probes.memory import read_memory_fast
from monitor.probes.process import is_alive
from monitor.rundir import RunDir
from monitor.watch_state import read_watch
from monitor.words import gibibytes
from runners.errors import RunnerError
from runners.runs import iter_runs

INTERRUPT_S = 0.2
"""How often a waiting keeper sees to its other duties."""

HEAVY = frozenset({Stage.IMPORT, Stage.TRAIN})
"""Stages that take memory, and begin a run's share of it."""


class MemoryWait:
    """One wait. `missing` as often as one likes: it looks at the machine every two seconds."""

    def __init__(
        self,
        root: Path,
        *,
        timeout_s: float = TIMEOUT_S,
        poll_s: float = POLL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._held = held_before(root, read_now())
        self._clock = clock
        self._began = clock()
        self._timeout_s = timeout_s
        self._poll_s = poll_s
        self._looked: float | None = None
        self._missing = 0

    @property
    def expired(self) -> bool:
        """It has been waited for long enough."""
        return self._clock() - self._began >= self._timeout_s

    def missing(self) -> int:
        """Bytes that have not come back; 0 when there is nothing to wait for."""
        if self._held is None:
            return 0
        now = self._clock()
        if self._looked is None or now - self._looked >= self._poll_s:
            self._looked = now
            memory = read_memory_fast()
            self._missing = 0 if memory is None else missing_bytes(self._held, memory.used_bytes)
        return self._missing

    def refusal(self, holders: Callable[[], tuple[Holder, ...]] = read_holders) -> str:
        """Why nothing is started: who holds what did not come back."""
        return refusal(self._missing, self._clock() - self._began, holders())


def await_memory(
    stage: Stage,
    run: RunDir,
    say: Callable[[str, str], None],
    interrupted: Callable[[], bool],
) -> str | None:
    """Let the run before give its memory back; returns why *stage* cannot be started.

    *interrupted* is called again and again meanwhile; once it is true, nothing is waited for.
    """
    wait = MemoryWait(run.root.parent)
    if missing := wait.missing():
        say("note", f"stage {stage} waits for {gibibytes(missing)} that the run before held")
    while wait.missing() and not interrupted():
        if wait.expired:
            return f"stage {stage} was not started: {wait.refusal()}"
        time.sleep(INTERRUPT_S)
    return None


def held_before(root: Path, now: Now) -> Held | None:
    """What the run that ended last below *root* held, where that was moments ago."""
    return newest_held(_all_held(root, now), boot_id=now.boot_id, wall_s=now.wall_s)


def _all_held(root: Path, now: Now) -> Iterator[Held]:
    try:
        runs = list(iter_runs(root))
    except RunnerError:
        return
    for run in runs:
        held = _recent_held(run, now)
        if held is not None and not is_alive(held.process):
            yield held


def _recent_held(run: RunDir, now: Now) -> Held | None:
    """Of a run that was watched lately: a root may hold a thousand others."""
    try:
        if now.wall_s - run.watch.stat().st_mtime > RECENT_S:
            return None
    except OSError:
        return None
    state = read_watch(run.watch).value
    return state.memory.held if state is not None and state.memory is not None else None
