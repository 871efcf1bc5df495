"""A log of any size, as lines around an offset. Read in windows, never whole.

A line is known by the offset of its first byte. Lines end at a newline; where a whole aligned
stretch of `HARD_BYTES` holds none, one is broken at its end, so that no line is endless and a
reader that comes from above breaks it where one from below does.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from monitor.probes.raw import open_regular, reason
from monitor.probes.text import clean_line

HARD_BYTES = 1 << 20
CHUNK_BYTES = 64 * 1024
CHUNKS_KEPT = 16
"""A mebibyte: paging to and fro reads nothing twice."""

SHOWN_CHARS = 8000
"""Of one line; a longer one ends in an ellipsis."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line: where it begins, where the next one does, and its text, cleaned and folded."""

    start: int
    end: int
    text: str


class LineReader:
    """Lines of an open file; what it holds beyond *size* bytes is not looked at. Raises OSError."""

    def __init__(self, descriptor: int, size: int = 0) -> None:
        self.descriptor = descriptor
        self.size = size
        self._chunks: dict[int, bytes] = {}

    def forget(self) -> None:
        """Read anew: the bytes that are kept may have changed."""
        self._chunks.clear()

    def line_at(self, start: int) -> LogLine:
        """The line that begins at *start*."""
        end, following = self.end_of(start)
        return LogLine(start, following, self._text(start, end))

    def after(self, start: int, count: int) -> list[LogLine]:
        """At most *count* lines from the one that begins at *start* on."""
        lines: list[LogLine] = []
        while start < self.size and len(lines) < count:
            lines.append(self.line_at(start))
            start = lines[-1].end
        return lines

    def before(self, at: int, count: int) -> list[LogLine]:
        """At most *count* lines that begin before *at*, which is a line's beginning or the end."""
        lines: list[LogLine] = []
        while at > 0 and len(lines) < count:
            at = self.start_of(at - 1)
            lines.append(self.line_at(at))
        return lines[::-1]

    def start_of(self, at: int) -> int:
        """Where the line that holds the byte *at* begins."""
        low = min(at, self.size)
        while low > 0:
            block = (low - 1) // HARD_BYTES * HARD_BYTES
            found = self._rfind(block, low)
            if found >= 0:
                return found + 1
            if low == block + HARD_BYTES:
                return low
            low = block
        return 0

    def end_of(self, start: int) -> tuple[int, int]:
        """Where the text of the line from *start* ends, and where the next line begins."""
        at, block = start, start // HARD_BYTES * HARD_BYTES
        whole = at == block
        while at < self.size:
            limit = min(block + HARD_BYTES, self.size)
            found = self._find(at, limit)
            if found >= 0:
                return found, found + 1
            if whole:
                return limit, limit
            at = block = block + HARD_BYTES
            whole = True
        return self.size, self.size

    def _text(self, start: int, end: int) -> str:
        if end - start <= 2 * CHUNK_BYTES:
            return clean_line(self._bytes(start, end), SHOWN_CHARS)
        # Of a long one an end is enough: its last redraw, or its beginning.
        tail = self._bytes(end - CHUNK_BYTES, end).rstrip(b"\r")
        if b"\r" in tail:
            return clean_line(tail.rpartition(b"\r")[2], SHOWN_CHARS)
        text = clean_line(self._bytes(start, start + CHUNK_BYTES), SHOWN_CHARS)
        return text if text.endswith("…") else text + "…"

    def _bytes(self, start: int, end: int) -> bytes:
        first, last = start // CHUNK_BYTES, max(start, end - 1) // CHUNK_BYTES
        raw = b"".join(self._chunk(index) for index in range(first, last + 1))
        return raw[start - first * CHUNK_BYTES : end - first * CHUNK_BYTES]

    def _find(self, start: int, stop: int) -> int:
        while start < stop:
            index = start // CHUNK_BYTES
            base = index * CHUNK_BYTES
            found = self._chunk(index).find(b"\n", start - base, stop - base)
            if found >= 0:
                return base + found
            start = base + CHUNK_BYTES
        return -1

    def _rfind(self, start: int, stop: int) -> int:
        while start < stop:
            index = (stop - 1) // CHUNK_BYTES
            base = index * CHUNK_BYTES
            found = self._chunk(index).rfind(b"\n", max(0, start - base), stop - base)
            if found >= 0:
                return base + found
            stop = base
        return -1

    def _chunk(self, index: int) -> bytes:
        kept = self._chunks.get(index)
        base = index * CHUNK_BYTES
        if kept is None or (len(kept) < CHUNK_BYTES and base + len(kept) < self.size):
            self._chunks.pop(index, None)
            kept = os.pread(self.descriptor, CHUNK_BYTES, base)
            self._chunks[index] = kept
            if len(self._chunks) > CHUNKS_KEPT:
                del self._chunks[next(iter(self._chunks))]
        return kept


class LogFile:
    """A log by its path: it may appear, grow, be cut short, replaced or deleted meanwhile.

    Where the file of this path is another one, that is read from then on. What was deleted stays
    readable: it is held open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = LineReader(-1)
        self.modified_wall: float | None = None
        self.problem: str | None = None
        """Why there is nothing to read, or nothing new."""
        self._identity: tuple[int, int] | None = None

    @property
    def is_open(self) -> bool:
        """True once there was something to read."""
        return self._identity is not None

    def look(self) -> str | None:
        """Take notice of what became of the file. Returns what a reader must know of it, or None.

        That is "replaced" or "cut": offsets from before mean nothing any more.
        """
        self.problem = None
        try:
            named = self.path.stat()
            news = self._open() if (named.st_dev, named.st_ino) != self._identity else None
        except OSError as error:
            news = None
            self.problem = self._trouble(error)
        if not self.is_open:
            return None
        try:
            status = os.fstat(self.lines.descriptor)
        except OSError as error:
            self.problem = f"{self.path.name} cannot be read: {reason(error)}"
            return news
        if status.st_size < self.lines.size:
            news = news or "cut"
        if news:
            self.lines.forget()
        self.lines.size, self.modified_wall = status.st_size, status.st_mtime
        return news

    def close(self) -> None:
        """Let go of the file."""
        if self.is_open:
            os.close(self.lines.descriptor)
            self._identity = None

    def _open(self) -> str | None:
        descriptor = open_regular(self.path)
        was_open = self.is_open
        self.close()
        status = os.fstat(descriptor)
        self._identity = (status.st_dev, status.st_ino)
        self.lines = LineReader(descriptor)
        return "replaced" if was_open else None

    def _trouble(self, error: OSError) -> str:
        if not isinstance(error, FileNotFoundError):
            return f"{self.path.name} cannot be read: {reason(error)}"
        if self.is_open:
            return f"{self.path.name} was deleted: this is what it held"
        return f"{self.path.name} is not there"
