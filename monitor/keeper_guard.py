"""Notice that a run's keeper is gone, say so, and start another one, a few times at most.

The same for the guard of a foreign run, which keeps its watcher as a keeper would.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from monitor.life import boot_changed, is_kept
from monitor.probes.clock import Now
from monitor.probes.process import is_alive
from monitor.target import WatchTarget

FREE_S = 3.0
"""A keeper that hands over or restarts by itself gets so long."""
MOST_STARTS = 3
WITHIN_S = 600.0


class KeeperGuard:
    """Watches one keeper. `check` once a tick; it returns what a person should read."""

    def __init__(self, starts: tuple[float, ...] = ()) -> None:
        self.starts = starts
        """CLOCK_MONOTONIC of each start."""
        self._free_since: float | None = None
        self._lost = False
        self._gave_up = False
        self._given_up: str | None = None
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def given_up(self) -> str | None:
        """Why the run has no keeper and gets none from here; None while there is hope."""
        return self._given_up if self._lost else None

    def check(self, target: WatchTarget, now: Now) -> Iterator[str]:
        """Say what changed with the keeper, and start another one when it is due."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        who = _name_of(target)
        if _is_over(target) or boot_changed(target, now.boot_id):
            self._free_since = None
            return
        if is_kept(target):
            if self._lost:
                yield f"{who} restarted: the run is kept again"
            self._free_since, self._lost, self._gave_up = None, False, False
            self._given_up = None
            return
        if self._free_since is None:
            self._free_since = now.monotonic_s
        if now.monotonic_s - self._free_since < FREE_S:
            return
        if not self._lost:
            self._lost = True
            yield f"{who} lost: its process is gone, the trainer goes on without it"
        yield from self._start(target, now)

    def _start(self, target: WatchTarget, now: Now) -> Iterator[str]:
        if target.keeper_command is None:
            self._given_up = "its process is gone, and run.json does not say how to start another"
        if target.keeper_command is None or self._child is not None:
            return
        self.starts = tuple(at for at in self.starts if 0 <= now.monotonic_s - at <= WITHIN_S)
        if len(self.starts) >= MOST_STARTS:
            if not self._gave_up:
                self._gave_up = True
                self._given_up = f"{MOST_STARTS} {_name_of(target)}s ended within 10 min"
                yield f"{_name_of(target)} not restarted: {self._given_up}"
            return
        self.starts = (*self.starts, now.monotonic_s)
        self._free_since = now.monotonic_s
        try:
            log = target.run_dir.logs / ("watcher.log" if target.foreign else "keeper.log")
            self._child = start_detached(target.keeper_command, log)
        except OSError as error:
            self._given_up = f"it cannot be started: {error.strerror or error}"
            yield f"{_name_of(target)} not restarted: {error.strerror or error}"


def _name_of(target: WatchTarget) -> str:
    return "guard" if target.foreign else "keeper"


def _is_over(target: WatchTarget) -> bool:
    """Nobody needs to keep it any more."""
    if target.foreign:  # its guard leaves with it
        return target.process is None or not is_alive(target.process)
    return target.status is None or target.final


def start_detached(command: tuple[str, ...], log: Path) -> subprocess.Popen[bytes]:
    """Start *command* in a session of its own, its output at the end of *log*. Raises OSError."""
    output: IO[bytes] | int = subprocess.DEVNULL
    with suppress(OSError):  # a full or read-only disk must not cost the run its keeper
        output = log.open("ab")
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    finally:
        if not isinstance(output, int):
            output.close()
