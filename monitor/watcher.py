"""The process that observes one run: `python -m monitor.watcher RUN_FOLDER`.

It looks once a tick (`watch.py` says what a look is); a change in the checkpoints folder wakes it
between ticks. The one rule: nothing but the end of the run, of its folder or a signal ends it.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from pathlib import Path

from monitor import locks
from monitor.own_log import log_to
from monitor.probes.clock import RATE
from monitor.rundir import RunDir
from monitor.watch import Watch

TICK_S = max(1.0, 0.1 * RATE)
"""By the judged clock; in a drill a look is never under a tenth of a second away from the last."""
CALM_S = 0.05
"""Least time between two looks at the checkpoints: a save makes a burst of events."""
LAST_LOOKS = 5
"""Looks after the end in which a full disk may still take the last events."""

EXIT_ENDED = 0
EXIT_REFUSED = 2

_log = logging.getLogger("lanewatch.watcher")


class Watcher:
    """Says when to look at one run, until it is over."""

    def __init__(self, run_dir: Path, tick_s: float = TICK_S) -> None:
        self._root = run_dir
        self._pause_s = tick_s / RATE
        self._folder = _identity(run_dir)
        self._look_now = threading.Event()
        self._stopping = False
        self._last_looks = 0
        self._watch = Watch(run_dir, tick_s, self._pause_s, self._look_now)

    def run(self) -> int:
        """Look once a tick until the run is over, the folder is gone or SIGTERM comes."""
        try:
            self._watch.start()
            return self._loop()
        finally:
            self._watch.close()

    def stop(self) -> None:
        """Ask the loop to end; safe in a signal handler."""
        self._stopping = True

    def _loop(self) -> int:
        due = time.monotonic()
        while not self._stopping:
            if self._folder is None or _identity(self._root) != self._folder:
                _say(f"{self._root} is gone: the watch ends")
                return EXIT_ENDED
            self._watch.attempt("tick", self._watch.tick)
            if self._over():
                return EXIT_ENDED
            due = max(min(due, time.monotonic()) + self._pause_s, time.monotonic())
            self._wait(due)
        self._watch.farewell("the watcher was told to end")
        return EXIT_ENDED

    def _wait(self, due: float) -> None:
        """Sleep until *due*; look at the checkpoints whenever their folder changes."""
        while not self._stopping and (left := due - time.monotonic()) > 0:
            if self._look_now.wait(min(left, 1.0)):
                self._look_now.clear()
                if self._watch.urgent:
                    return
                self._watch.attempt("checkpoints", self._watch.note_checkpoints)
                time.sleep(min(CALM_S, max(0.0, due - time.monotonic())))

    def _over(self) -> bool:
        """The end is recorded, or the disk had its chances to take it."""
        if not self._watch.final:
            self._last_looks = 0
            return False
        self._last_looks += 1
        return self._watch.settled or self._last_looks >= LAST_LOOKS


def main(arguments: list[str] | None = None) -> int:
    """Watch one run. Returns 0 at its end, 2 when there is nothing to watch or it is watched."""
    options = _parse(arguments)
    run_dir = Path(options.run_folder).absolute()
    if not run_dir.is_dir():
        _say(f"{run_dir} is no run folder: nothing to watch")
        return EXIT_REFUSED
    log_to(RunDir(run_dir).logs / "watcher.log", _log)
    try:
        lock = locks.take(RunDir(run_dir).watcher_lock)
    except OSError as error:
        # In a folder that cannot be written nobody can hold the lock, and nobody needs it.
        _say(f"{run_dir} cannot be written ({error.strerror}): watching without a record")
        lock = -1
    if lock is None:
        _say(f"{run_dir} is watched already: another watcher holds watcher.lock")
        return EXIT_REFUSED
    watcher = Watcher(run_dir, options.tick)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: watcher.stop())
    signal.signal(signal.SIGINT, lambda *_: watcher.stop())
    return watcher.run()


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="monitor.watcher", description="Watch one run.")
    parser.add_argument("run_folder")
    parser.add_argument("--tick", type=float, default=TICK_S, metavar="S", help="seconds per look")
    options = parser.parse_args(arguments)
    if not 0 < options.tick <= 60:
        parser.error("--tick must be between 0 and 60 seconds")
    return options


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _say(text: str) -> None:
    sys.stderr.write(f"lanewatch watcher: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
