"""The guard of a foreign run: `python -m runners.attach.guard RUN_FOLDER`.

It keeps a watcher alive, as the watcher does it, wakes somebody once that does not help, and has
the checkpoint folder searched for while none is known. The rule: it ends with the run, and never
touches the trainer.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor import locks
from monitor.files import read_json, write_json
from monitor.model import FINAL, ProcessId
from monitor.own_log import log_to
from monitor.probes.process import identify, is_alive
from monitor.rundir import SCHEMA, RunDir
from monitor.target import process_id
from monitor.watch_state import read_watch
from runners.attach.folders import changed_wall
from runners.watcher_process import WatcherProcess, identity

if TYPE_CHECKING:
    from runners.keeper_alerts import KeeperAlerts

LOOK_S = 1.0
SEARCH_FIRST_S = 5.0
SEARCH_LAST_S = 180.0
"""A search takes a quarter of a second of CPU; a first save may be an hour away."""
LAST_WATCH_S = 10.0
"""So long a last watcher has to record the end, where all before it died."""

logger = logging.getLogger("lanewatch.guard")


class GuardState:
    """state.json of a foreign run: who watches and who guards it, nothing else."""

    def __init__(self, run: RunDir, guard: ProcessId | None) -> None:
        self._run = run
        self.content: dict[str, Any] = read_json(run.state).value or {}
        self.content |= {"schema": SCHEMA, "run": run.root.name, "guard": identity(guard)}
        self.content["guard_command"] = guard_argv(run)

    def watch(self, watcher: ProcessId | None, *, restarts: int, lost: bool) -> None:
        """Say who watches the run, and whether the guard has given up on it."""
        self.content["watcher"] = identity(watcher) | {"restarts": restarts, "lost": lost}

    def save(self) -> bool:
        """Write it; False when that failed."""
        try:
            write_json(self._run.state, self.content, durable=False)
        except OSError as error:
            logger.warning("cannot write %s: %s", self._run.state, error)
            return False
        return True


def guard_argv(run: RunDir) -> list[str]:
    """How a guard of *run* is started; the watcher, which knows no more of it, does so too."""
    return [sys.executable, "-P", "-m", "runners.attach.guard", str(run.root)]


class FolderSearch:
    """Starts a short child now and then, until run.json names the checkpoint folder and the total.

    The total is asked for once for each new checkpoint, for not every trainer writes it there.
    """

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._began_s = time.monotonic()
        self._next_s = self._began_s + SEARCH_FIRST_S
        self._child: subprocess.Popen[bytes] | None = None
        self._found = False
        self._asked_wall: float | None = None

    def tend(self, now_s: float) -> None:
        """Returns at once. The pauses grow with the time that it takes already."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        if self._found or now_s < self._next_s:
            return
        if self._child is not None:
            self._child.kill()  # it hangs: an engine or a file system that does not answer
            return
        pause_s = min(max((now_s - self._began_s) / 3, SEARCH_FIRST_S), SEARCH_LAST_S)
        self._next_s = now_s + max(pause_s, SEARCH_FIRST_S)
        folder, self._found = known_folder(self._run)
        if self._found or (folder is not None and not self._is_new(folder)):
            return
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "runners.attach.find_folder", str(self._run.root)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )

    def _is_new(self, folder: Path) -> bool:
        """A checkpoint came since the last child was asked."""
        changed = changed_wall(folder)
        new = changed is not None and changed != self._asked_wall
        self._asked_wall = changed
        return new


class Guard:
    """Guards one run until it is over or its folder is gone."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._folder = _inode(run.root)
        self._process = process_id((read_json(run.run_json).value or {}).get("process"))
        self._state = GuardState(run, identify(os.getpid()))
        self._watcher = WatcherProcess(run, "guard")
        self._search = FolderSearch(run)
        self._alerts: KeeperAlerts | None = None
        self._stopping = threading.Event()

    def run(self) -> None:
        """Look once a second."""
        self._watcher.adopt_or_start(self._state)
        self._state.save()
        while not self._stopping.wait(LOOK_S) and self._goes_on():
            try:
                self._look()
            except OSError as error:
                logger.warning("%s", error)
        if self._alerts is not None and _inode(self._run.root) == self._folder:
            self._alerts.close(None, "its process is gone", 1)

    def stop(self) -> None:
        """Safe in a signal handler."""
        self._stopping.set()

    def _goes_on(self) -> bool:
        if _inode(self._run.root) != self._folder or is_over(self._run):
            return False
        if self._watcher.lost and self._process is not None and not is_alive(self._process):
            return not self._last_watch()
        return True

    def _last_watch(self) -> bool:
        """The trainer is gone and nobody watched: one more watcher may tell how it ended."""
        self._watcher.start_again(self._state)
        deadline = time.monotonic() + LAST_WATCH_S
        while time.monotonic() < deadline and not is_over(self._run):
            time.sleep(0.1)
        return True

    def _look(self) -> None:
        if self._watcher.lost:
            self._watcher.find_again(self._state)
        self._watcher.tend(self._state)
        self._search.tend(time.monotonic())
        if self._watcher.lost and self._alerts is None:
            # Seldom needed, and half of what this process would take.
            from runners.keeper_alerts import KeeperAlerts

            self._alerts = KeeperAlerts(self._run, "guard")
        if self._alerts is not None:
            self._alerts.tend(watcher_lost=self._watcher.lost)


def is_over(run: RunDir) -> bool:
    """The watcher has recorded the end."""
    word = read_watch(run.watch).value
    return word is not None and word.recorded in FINAL


def known_folder(run: RunDir) -> tuple[Path | None, bool]:
    """The checkpoint folder that run.json names, and whether it names the total as well."""
    info = read_json(run.run_json).value or {}
    paths = info.get("paths")
    folder = paths.get("checkpoints") if isinstance(paths, dict) else None
    if not isinstance(folder, str) or not folder:
        return None, False
    return Path(folder), info.get("iterations") is not None


def _inode(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def main(arguments: list[str] | None = None) -> int:
    """Guard one run. Returns 0 at its end, 2 where it is guarded already."""
    (folder,) = sys.argv[1:] if arguments is None else arguments
    run = RunDir(Path(folder).absolute())
    if not run.root.is_dir():
        return 2
    log_to(run.logs / "watcher.log", logger)
    try:
        lock = locks.take(run.guard_lock)
    except OSError:
        lock = -1  # in a folder that cannot be written nobody can hold it
    if lock is None:
        return 2
    if is_over(run):
        return 0
    guard = Guard(run)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: guard.stop())
    signal.signal(signal.SIGINT, lambda *_: guard.stop())
    guard.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
