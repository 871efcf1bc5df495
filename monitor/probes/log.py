"""The log: its size and time, its last lines, and what is new, without ever reading all of it.

A log is a hint and foreign text: every line that leaves here went through `clean_line`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from monitor.earlier import said_earlier
from monitor.frozen import replace
from monitor.grammar import begin, fold
from monitor.model import LogProgress, LogReading
from monitor.probes import Read
from monitor.probes.clock import RATE
from monitor.probes.follow import READ_BYTES, LineFollower
from monitor.probes.raw import open_regular, reason
from monitor.probes.text import clean_line

__all__ = ["LogFollower", "ProgressReader", "clean_line", "read_log", "tail"]

FIRST_BYTES = READ_BYTES - 1
"""Of the end of a log, when it is first looked at or has run away from us."""
MOST_LINES = 4096
"""Of one bite; of a flood of short lines the last ones count."""
ITERATION_LIMIT = 1e15
BEHIND_BYTES = 1024 * 1024
"""Further behind than this the reader jumps to the end: what is new counts."""


def read_log(path: Path) -> Read[LogReading]:
    """Stat *path*; missing gives neither value nor problem."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return Read()
    except OSError as error:
        return Read(problem=f"{path.name} cannot be read: {reason(error)}")
    return Read(
        LogReading(path=str(path), size_bytes=status.st_size, modified_wall=status.st_mtime)
    )


def tail(path: Path, max_bytes: int = 65536, max_lines: int = 200) -> list[str]:
    """Return the last lines of *path*, cleaned; at most so many, from at most so many bytes.

    An unreadable or missing file has none. A last line without its end counts.
    """
    try:
        descriptor = open_regular(path)
    except OSError:
        return []
    try:
        size = os.fstat(descriptor).st_size
        start = max(0, size - max_bytes)
        raw = os.pread(descriptor, max_bytes, start)
    except OSError:
        return []
    finally:
        os.close(descriptor)
    return _last_lines(raw, cut=start > 0, max_lines=max_lines)


def _last_lines(raw: bytes, *, cut: bool, max_lines: int) -> list[str]:
    lines = raw.removesuffix(b"\n").split(b"\n") if raw else []
    # A sparse or preallocated file is zeros until its first line.
    lines = [line.lstrip(b"\0") for line in lines]
    if cut and len(lines) > 1:
        lines = lines[1:]
        cut = False
    cleaned = _cleaned(lines[-max_lines:])
    if cut and cleaned:
        cleaned[0] = "…" + cleaned[0]
    return cleaned


def _cleaned(lines: Sequence[bytes]) -> list[str]:
    return [clean_line(line) for line in lines]


class LogFollower:
    """Gives the lines that are new since the last call; survives truncation and rotation."""

    def __init__(self, path: Path, *, tail_bytes: int | None = 65536) -> None:
        self._follower = LineFollower(path, tail_bytes=tail_bytes)
        self.behind_bytes = 0
        """Written but not returned yet: a call reads a bounded bite."""

    @property
    def partial(self) -> str:
        """The last line as far as it is written (a progress bar lives here)."""
        return clean_line(self._follower.partial)

    def read(self) -> list[str]:
        """Return the new whole lines, cleaned; nothing new, or nothing readable, is empty."""
        new = self._follower.read()
        self.behind_bytes = new.behind_bytes
        return _cleaned(new.lines)


class ProgressReader:
    """Reads what a trainer's log says of its progress, a bounded bite at each look."""

    def __init__(
        self, path: Path, total: int | None = None, since_wall: float | None = None
    ) -> None:
        """*since_wall*: when the process began whose lines count; None: all of them do."""
        self.path = path
        self._total = total
        self._since_wall = since_wall
        self._state = begin(total)
        self._follower = self._follow()
        self._seen: LogReading | None = None
        self._behind = False
        self._word: LogProgress | None = None
        self._steps_per_epoch: float | None = None

    def read(
        self, log: LogReading | None, steps_per_epoch: float | None = None, resumed_at: int = 0
    ) -> LogProgress | None:
        """Return what the log says by now; None while it has said nothing that is understood.

        *log* is how the file looks at this instant: one that has not changed is not opened. With
        *steps_per_epoch* a log that counts only epochs tells iterations, too. *resumed_at*: the
        iteration that the process may have begun with.
        """
        if steps_per_epoch != self._steps_per_epoch:
            self._steps_per_epoch = steps_per_epoch
            self._word = self._said()
        if log is None or (log == self._seen and not self._behind):
            return self._word
        new = self._follower.read()
        if new.problem:
            return self._word
        self._seen = log
        self._behind = new.behind_bytes > 0
        if new.restarted:
            self._state = begin(self._total)
        for line in new.lines[-MOST_LINES:]:
            self._state = fold(self._state, line)
        if new.behind_bytes > BEHIND_BYTES:
            self._follower = self._follow()
        self._word = self._said()
        self._leave_earlier(log, resumed_at)
        return self._word

    def _leave_earlier(self, log: LogReading, resumed_at: int) -> None:
        """Once: what the log says at first may be an earlier process's word."""
        since_wall, self._since_wall = self._since_wall, None
        if since_wall is None or self._word is None:
            return
        if said_earlier(self._word, log, since_wall, resumed_at, rate=RATE):
            self._state, self._word = begin(self._total), None
            self._follower = self._follow(tail_bytes=0)
            self._follower.read()

    def _follow(self, tail_bytes: int = FIRST_BYTES) -> LineFollower:
        return LineFollower(self.path, tail_bytes=tail_bytes, redraws=True)

    def _said(self) -> LogProgress | None:
        """The state of the lines that are whole, and of a bar that stands at the end.

        No other line is read before it has ended: what it lacks would be held against it.
        """
        state, partial = self._state, self._follower.partial
        if b"%|" in partial:
            state = fold(state, partial)
        said = state.progress
        if said == LogProgress():
            return None
        per_epoch, epoch = self._steps_per_epoch, said.epoch
        if said.iteration is None and epoch is not None and per_epoch is not None:
            said = replace(said, iteration=round(min(epoch * per_epoch, ITERATION_LIMIT)))
        return replace(said, error=clean_line(said.error)) if said.error else said
