"""Read what was appended to a file since the last look, by whole lines and in bounded bites.

The file may be missing, cut short, replaced or full of one endless line; nothing is held open.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from monitor.probes.raw import open_regular, reason

READ_BYTES = 256 * 1024
"""Most that one call reads."""

PARTIAL_BYTES = 64 * 1024
"""Most that is kept of a line that has not ended yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLines:
    """What one look found."""

    lines: tuple[bytes, ...] = ()
    restarted: bool = False
    """The file was cut short or replaced: these lines begin it anew."""
    behind_bytes: int = 0
    """Still unread: call again soon."""
    problem: str | None = None


class LineFollower:
    """Follows one file. With *tail_bytes* it starts that far before the end, else at the start.

    With *redraws* a carriage return ends a line, too: each state of a progress bar is one then.
    """

    def __init__(self, path: Path, *, tail_bytes: int | None = None, redraws: bool = False) -> None:
        self._path = path
        self._tail_bytes = tail_bytes
        self._redraws = redraws
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._partial = b""
        self._skip_first = False

    @property
    def partial(self) -> bytes:
        """The last line as far as it is written, without its end."""
        return self._partial

    def read(self) -> NewLines:
        """Return the lines that were finished since the last call."""
        try:
            descriptor = open_regular(self._path)
        except FileNotFoundError:
            return NewLines()
        except OSError as error:
            return NewLines(problem=f"{self._path.name} cannot be read: {reason(error)}")
        try:
            return self._read_from(descriptor)
        except OSError as error:
            return NewLines(problem=f"{self._path.name} cannot be read: {reason(error)}")
        finally:
            os.close(descriptor)

    def _read_from(self, descriptor: int) -> NewLines:
        status = os.fstat(descriptor)
        restarted = self._begin((status.st_dev, status.st_ino), status.st_size)
        raw = os.pread(descriptor, READ_BYTES, self._offset)
        self._offset += len(raw)
        behind = max(0, status.st_size - self._offset)
        return NewLines(lines=self._split(raw), restarted=restarted, behind_bytes=behind)

    def _begin(self, identity: tuple[int, int], size: int) -> bool:
        """Decide where to read on; True when what was read before is no longer the file."""
        if identity == self._identity and size >= self._offset:
            return False
        first = self._identity is None
        self._identity, self._offset, self._partial = identity, 0, b""
        self._skip_first = False
        if first and self._tail_bytes is not None and size > self._tail_bytes:
            # One byte early: if that is a line's end, the first line is whole.
            self._offset = size - self._tail_bytes - 1
            self._skip_first = True
        return not first

    def _split(self, raw: bytes) -> tuple[bytes, ...]:
        if not raw:
            return ()
        if self._redraws:
            raw = raw.replace(b"\r", b"\n")
        *lines, rest = (self._partial + raw).split(b"\n")
        self._partial = rest if len(rest) <= PARTIAL_BYTES else _shorten(rest)
        if self._skip_first and lines:
            self._skip_first = False
            lines = lines[1:]
        return tuple(lines)


def _shorten(line: bytes) -> bytes:
    """Of an endless line keep its start; of one that redraws itself, its last state."""
    redrawn = line.rstrip(b"\r").rpartition(b"\r")[2] if b"\r" in line else line
    return redrawn[:PARTIAL_BYTES]
