"""Only the lines that match, as far as the file has been searched around the view. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tui.log_file import LogLine

AT_ONCE = 64
"""Matching lines that are asked for at least."""

KEPT = 20_000
"""Matching lines that are known above the end, at least."""


class Lines(Protocol):
    """Lines around an offset, as `LineReader` gives them."""

    @property
    def size(self) -> int: ...

    def after(self, start: int, count: int) -> list[LogLine]: ...

    def before(self, at: int, count: int) -> list[LogLine]: ...

    def line_at(self, start: int) -> LogLine: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stretch that has to be searched before more can be shown."""

    start: int
    forwards: bool
    count: int
    size: int
    """Of the file when this was asked."""


class FilteredLines:
    """The matching lines of *lines*; `wanted` is what could not be answered yet."""

    def __init__(self, lines: Lines, at: int) -> None:
        self._lines = lines
        self._hits: list[int] = []
        self._low = self._high = at
        self._settled = -1
        self.wanted: Wanted | None = None

    @property
    def size(self) -> int:
        return self._lines.size

    @property
    def low(self) -> int:
        """From here to `high` the file has been searched."""
        return self._low

    def follow(self, lines: Lines) -> None:
        """The same file, opened anew or grown."""
        self._lines = lines

    def begin_at(self, at: int) -> None:
        """Forget what was found and search around *at*."""
        self._hits, self._low, self._high, self.wanted = [], at, at, None
        self._settled = -1

    def line_at(self, start: int) -> LogLine:
        return self._lines.line_at(start)

    def after(self, start: int, count: int) -> list[LogLine]:
        first = bisect_left(self._hits, start)
        found = self._hits[first : first + count]
        if len(found) < count and self._high < self.size != self._settled:
            self.wanted = Wanted(self._high, True, max(count, AT_ONCE), self.size)
        return [self._lines.line_at(each) for each in found]

    def before(self, at: int, count: int) -> list[LogLine]:
        last = bisect_left(self._hits, at)
        found = self._hits[max(0, last - count) : last]
        if len(found) < count and self._low > 0:
            self.wanted = Wanted(self._low, False, max(count, AT_ONCE), self.size)
        return [self._lines.line_at(each) for each in found]

    def _forget(self) -> None:
        """Followed all night a filter finds lines without end: those far above are found again.

        Nobody looks at those: lines further down were asked for.
        """
        if len(self._hits) > 2 * KEPT:
            del self._hits[:-KEPT]
            self._low = self._hits[0]
            if self.wanted is not None and not self.wanted.forwards:
                self.wanted = None  # it began where was known before

    def take(self, asked: Wanted, hits: Sequence[int], reached: int, *, done: bool) -> Wanted:
        """Add what a search of *asked* found until it had got to *reached*; returns what is left.

        A last line that has not ended yet is found again with each search: it may grow to match.
        """
        if asked.forwards:
            known = self._hits[: bisect_left(self._hits, asked.start)]
            self._hits = known + [each for each in hits if each >= asked.start]
            self._high = max(self._high, reached)
            self._forget()
        else:
            self._hits = sorted(hits) + self._hits
            self._low = min(self._low, reached)
        left = replace(asked, start=reached, count=max(0, asked.count - len(hits)))
        if done and asked.forwards and left.count:
            self._settled = asked.size
        return left
