"""The watcher's question why a run has stalled: asked once an attempt, answered by a child.

The rule: no look waits for it, and no alert for longer than 20 s of the clock on the wall; an alert
that waits is kept in watch.json, and goes out without an answer where none comes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

from monitor.diagnosis.answer import recorded_sentence
from monitor.rundir import RunDir

WAIT_S = 20.0
"""Seconds that pass, also in a drill, whose judged clock runs faster."""

REAP_S = 0.2

ARGV = (sys.executable, "-P", "-m", "monitor.diagnosis")


class Inquiry:
    """One child at a time that diagnoses the run."""

    def __init__(self, run: RunDir, asked: int | None = None) -> None:
        self._run = run
        self.asked = asked
        """The attempt that was last asked about."""
        self._child: subprocess.Popen[bytes] | None = None
        self._until_s = 0.0
        self._since_wall = 0.0

    def begin(self, attempt: int) -> bool:
        """Ask about *attempt*; False where that was done already, or cannot be done."""
        if attempt == self.asked or self._child is not None:
            return False
        self.asked = attempt
        self._since_wall, self._until_s = time.time(), time.monotonic() + WAIT_S
        try:
            self._child = subprocess.Popen(
                [*ARGV, str(self._run.root)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        except OSError:
            return False
        return True

    @property
    def pending(self) -> bool:
        """The child is at work and has time left."""
        child = self._child
        return child is not None and child.poll() is None and time.monotonic() < self._until_s

    def answer(self) -> str | None:
        """What it found, None for nothing; a child that is not done is ended."""
        child, self._child = self._child, None
        if child is None:
            return None
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # with the py-spy that it may wait for
        # Killed, it ends at once, unless a dead file server holds it: then it is left behind.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(REAP_S)
        return recorded_sentence(self._run, self.asked or 0, self._since_wall)
