"""Run a program whose output goes to the stage's log line by line, and look around meanwhile."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .causes import StageError
from .contract import say

LOOK_S = 0.25
END_S = 10.0


class WatchedCommand:
    """One run of one program; it ends with us, also when a stop is asked for meanwhile."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path) -> None:
        self.lines: list[str] = []
        """What it has said so far."""
        self._argv, self._env, self._cwd = argv, env, cwd

    @property
    def last_line(self) -> str:
        """The last thing it said."""
        return next((line for line in reversed(self.lines) if line.strip()), "it said nothing")

    def says(self, *words: str) -> bool:
        """True when any of *words* was said."""
        return any(word in line for line in self.lines for word in words)

    def run(self, look: Callable[[], None]) -> int:
        """Run it to its end, calling *look* now and then; return its exit code.

        What *look* raises ends the program. Raises StageError where it cannot be started.
        """
        try:
            child = subprocess.Popen(
                self._argv,
                env=self._env,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise StageError(f"cannot start {self._argv[0]}: {error.strerror}") from error
        reader = threading.Thread(target=self._read, args=(child,), daemon=True)
        reader.start()
        try:
            return self._wait(child, look)
        finally:
            _end(child)
            reader.join(END_S)

    @staticmethod
    def _wait(child: subprocess.Popen[str], look: Callable[[], None]) -> int:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return child.wait(LOOK_S)
            look()

    def _read(self, child: subprocess.Popen[str]) -> None:
        for line in child.stdout or ():
            self.lines.append(line.rstrip("\n"))
            say(self.lines[-1])


def _end(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(END_S)
        child.kill()
        child.wait()
