"""The watcher as its keeper or guard sees it: started, found again, restarted, given up on."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from typing import Any, Protocol

from monitor.events import append_event
from monitor.files import read_json
from monitor.model import ProcessId
from monitor.probes.clock import read_now
from monitor.probes.process import identify, is_alive
from monitor.rundir import RunDir

logger = logging.getLogger(__name__)

RESTARTS = 3
RESTART_WINDOW_S = 600.0
"""Design: restarted at most 3 times in 10 minutes."""

RESTART_PAUSES_S = (0.0, 2.0, 10.0)
"""Before the first, second and third restart: what kills it may need a moment to pass."""

FAREWELL_S = 5.0
"""How long a keeper waits for the watcher to record the end before it leaves."""


class State(Protocol):
    """state.json, whoever writes it."""

    content: dict[str, Any]

    def watch(self, watcher: ProcessId | None, *, restarts: int, lost: bool) -> None:
        """Say who watches the run."""

    def save(self) -> bool:
        """Write it; False when that failed."""


class WatcherProcess:
    """Keeps one watcher alive for one run."""

    def __init__(self, run: RunDir, source: str = "keeper") -> None:
        self._run = run
        self._source = source
        self._process: ProcessId | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._restarts: list[float] = []
        self._lost = False
        self._died: float | None = None

    @property
    def pid(self) -> int | None:
        """The watcher's pid, while there is one."""
        return self._process.pid if self._process else None

    @property
    def lost(self) -> bool:
        """It was given up on."""
        return self._lost

    def adopt_or_start(self, state: State) -> None:
        """Go on with the watcher that an earlier keeper started, or start one."""
        self._process = self._find(state)
        if self._process is None:
            self._try_to_start()
        self._report(state)

    def tend(self, state: State) -> None:
        """Start the watcher again if it died; report it lost when that does not help."""
        if self._lost or self._lives():
            return
        self._process = self._find(state)
        if self._process is not None:
            self._report(state)
            state.save()
            return
        now = time.monotonic()
        self._restarts = [each for each in self._restarts if now - each < RESTART_WINDOW_S]
        if len(self._restarts) >= RESTARTS:
            self._lost = True
            self._event(
                f"watcher lost: it died {RESTARTS + 1} times in {RESTART_WINDOW_S / 60:.0f} min; "
                f"see logs/watcher.log, then `lanewatch watch {self._run.root.name}`"
            )
        elif now >= self._died_at(now) + RESTART_PAUSES_S[len(self._restarts)]:
            self._restarts.append(now)
            self._died = None
            self._event("the watcher died and was started again")
            self._try_to_start()
        else:
            return
        self._report(state)
        state.save()

    def _died_at(self, now: float) -> float:
        if self._died is None:
            self._died = now
        return self._died

    def start_again(self, state: State) -> None:
        """Bring the watcher back because a person asked, with a fresh count of restarts."""
        self._restarts, self._lost, self._died = [], False, None
        if not self._lives():
            self._try_to_start()
        self._report(state)
        state.save()

    def find_again(self, state: State) -> None:
        """A person may have started a watcher after this one was given up on."""
        found = self._find(state)
        if found is not None:
            self._process = found
            self.start_again(state)

    def farewell(self) -> None:
        """Let the watcher record how the run ended."""
        deadline = time.monotonic() + FAREWELL_S
        while self._lives() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _find(self, state: State) -> ProcessId | None:
        """The living watcher that state.json or the watcher's own file names."""
        for value in (state.content.get("watcher"), read_json(self._run.watch).value):
            found = _process_id(value)
            if found is not None and is_alive(found):
                return found
        return None

    def _try_to_start(self) -> None:
        """A run folder that was deleted or a full disk must not end the keeper."""
        try:
            self._start()
        except OSError as error:
            logger.warning("cannot start a watcher for %s: %s", self._run.root, error)

    def _start(self) -> None:
        log = os.open(
            self._run.logs / "watcher.log",
            os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC,
            0o600,
        )
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "monitor.watcher", str(self._run.root)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        finally:
            os.close(log)
        self._process = identify(self._child.pid)

    def _lives(self) -> bool:
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        return self._process is not None and is_alive(self._process)

    def _report(self, state: State) -> None:
        state.watch(self._process, restarts=len(self._restarts), lost=self._lost)

    def _event(self, text: str) -> None:
        problem = append_event(
            self._run.events, kind="action", text=text, source=self._source, now=read_now()
        )
        if problem:
            logger.warning("%s", problem)


def identity(process: ProcessId | None) -> dict[str, Any]:
    """As state.json names a process; empty for none."""
    if process is None:
        return {}
    return {"pid": process.pid, "start_ticks": process.start_ticks, "boot_id": process.boot_id}


def _process_id(value: object) -> ProcessId | None:
    if not isinstance(value, dict):
        return None
    pid, ticks, boot_id = (value.get(key) for key in ("pid", "start_ticks", "boot_id"))
    if isinstance(pid, int) and isinstance(ticks, int) and isinstance(boot_id, str):
        return ProcessId(pid=pid, start_ticks=ticks, boot_id=boot_id)
    return None
