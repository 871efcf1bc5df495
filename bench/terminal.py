"""A terminal that shows nothing and counts: what a program writes to it is what SSH would carry."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Sequence
from types import TracebackType

from measure import Cost, environment
from paper import Paper

KEPT_BYTES = 16 << 20
"""How much of the output is kept to look for a text in."""

PATIENCE_S = 60.0
"""A machine that others use, too, may need many seconds for a first frame."""
DRAINED_S = 5.0
"""How long what a killed program has left on its terminal may take to be read."""
LOOK_S = 0.5
"""How often it is looked whether a program that shows nothing new has ended."""

_CONTROL = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_=>])")


class Terminal:
    """Runs *argv* on a pseudo-terminal of so many cells, and drains it."""

    def __init__(self, argv: Sequence[str], columns: int, rows: int, **env: str) -> None:
        self._leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._argv = tuple(argv)
        self.bytes = 0
        self._seen = bytearray()
        self._drawn = 0
        self._paper = Paper(columns, rows)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._grew = threading.Condition()
        self.began_s = time.monotonic()
        self._process = subprocess.Popen(
            argv,
            stdin=follower,
            stdout=follower,
            stderr=follower,
            env=environment(COLUMNS=str(columns), LINES=str(rows), **env),
            start_new_session=True,
        )
        os.close(follower)
        self._drainer = threading.Thread(target=self._drain, daemon=True)
        self._drainer.start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        """False once the program has ended by itself."""
        return self._process.poll() is None

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._leader, keys)

    def wait_for(self, word: str, patience_s: float = PATIENCE_S) -> float:
        """Seconds from the start until *word* was written by a program that is not ours.

        A single word: a sentence may be wrapped, or be written in parts. Of our own screens even a
        word is, where a part of it stood there before: see `wait_shown`. Ends the measurement with
        one sentence where the word does not come.
        """
        wanted = word.encode()
        deadline = time.monotonic() + patience_s
        with self._grew:
            while wanted not in _CONTROL.sub(b"", bytes(self._seen)):
                ended = self._has_ended()
                if ended or time.monotonic() >= deadline:
                    written = _CONTROL.sub(b"", bytes(self._seen)).decode(errors="replace")
                    raise SystemExit(self._missed(word, ended, patience_s, written))
                self._grew.wait(LOOK_S)
            return time.monotonic() - self.began_s

    def wait_shown(self, word: str, patience_s: float = PATIENCE_S) -> float:
        """Seconds from the start until *word* stands on the screen, however it was written."""
        deadline = time.monotonic() + patience_s
        while True:
            at_s = self._draw()
            if self.shows(word):
                return at_s - self.began_s
            ended = self._has_ended()
            if ended or at_s >= deadline:
                text = "\n".join(self._paper.text())
                raise SystemExit(self._missed(word, ended, patience_s, text))
            with self._grew:
                if len(self._seen) == self._drawn:
                    self._grew.wait(LOOK_S)

    def shows(self, word: str) -> bool:
        """Whether *word* stands on the screen as it was last waited for."""
        return any(word in line for line in self._paper.text())

    def press(self, keys: bytes, word: str) -> float:
        """Seconds from pressing *keys* until *word*, which is not there yet, stands there."""
        self._draw()
        if self.shows(word):
            raise SystemExit(f"{word!r} stood on the screen before {keys!r} was pressed")
        pressed_s = time.monotonic() - self.began_s
        self.type(keys)
        return self.wait_shown(word) - pressed_s

    def _draw(self) -> float:
        """Put on the paper what has been written since; returns when that had been written."""
        with self._grew:
            new, at_s = bytes(self._seen[self._drawn :]), time.monotonic()
        self._drawn += len(new)
        self._paper.write(self._decoder.decode(new))
        return at_s

    def _missed(self, word: str, ended: bool, patience_s: float, text: str) -> str:
        argv, shown = " ".join(self._argv), " ".join(text.split())[-300:]
        why = "it ended" if ended else f"not within {patience_s:g} s"
        return f"`{argv}` has not shown {word!r} ({why}); the end of its screen: {shown!r}"

    def _has_ended(self) -> bool:
        """Looks without reaping: `close` still wants to know what it took."""
        if self._process.returncode is not None:
            return True
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, options) is not None

    def close(self) -> Cost:
        """Kill the program and return what it took."""
        wall_ms = 1000 * (time.monotonic() - self.began_s)
        cost = Cost(wall_ms=wall_ms, cpu_ms=0.0, code=0)
        if self._process.returncode is None:
            os.kill(self._process.pid, signal.SIGKILL)  # Popen.kill() would reap and lose the usage
            _, status, used = os.wait4(self._process.pid, 0)
            self._process.returncode = os.waitstatus_to_exitcode(status)
            cpu_ms = 1000 * (used.ru_utime + used.ru_stime)
            cost = Cost(wall_ms=wall_ms, cpu_ms=cpu_ms, code=self._process.returncode)
        # The thread first: the next terminal gets this one's number, and would be read by it.
        self._drainer.join(DRAINED_S)
        if not self._drainer.is_alive():
            with contextlib.suppress(OSError):
                os.close(self._leader)
        return cost

    def _drain(self) -> None:
        while True:
            try:
                read = os.read(self._leader, 65536)
            except OSError:
                return
            if not read:
                return
            with self._grew:
                self.bytes += len(read)
                if len(self._seen) < KEPT_BYTES:
                    self._seen += read
                self._grew.notify_all()
