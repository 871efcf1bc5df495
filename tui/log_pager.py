"""Where one stands in a log: scrolls, follows, wraps, filters. Reads only what a screen shows.

Following turns pages, as the run's screen does: when the newest line would leave the view, the view
moves on by a third of its rows and then fills again. One line more costs one line on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tui.log_file import LogFile, LogLine
from tui.log_filter import FilteredLines, Lines
from tui.log_text import Row, rows_of

Spans = tuple[tuple[int, int], ...]
Place = tuple[int, int]
"""A line's beginning, and how many of its rows are above the view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """What a screen shows of a log, at one instant."""

    path: str = ""
    rows: tuple[Row, ...] = ()
    size: int = 0
    modified_wall: float | None = None
    follow: bool = True
    wrap: bool = False
    percent: int | None = None
    """How far down the file the view's last row is; None: there is nothing in it."""
    below: int = 0
    """Bytes below the view."""
    notice: str = ""
    """What became of the file, or of what was asked."""
    problem: str = ""
    searching: str = ""
    """What is being looked for just now, and how far."""
    saving: str = ""
    """Where what is shown is being saved to, and how far."""
    pattern: str = ""
    only: str = ""
    """The filter."""
    hit: int | None = None
    """The line that the search has found."""
    spans: Mapping[int, Spans] = field(default_factory=dict)
    """Where the pattern occurs, by line."""


class LogPager:
    """One view of one file. Not thread-safe: a thread of its own owns it."""

    def __init__(self, path: Path, width: int = 80, height: int = 24) -> None:
        self.file = LogFile(path)
        self.width, self.height = width, height
        self.wrap = False
        self.left = 0
        self.follow = True
        self.notice = ""
        self.filtered: FilteredLines | None = None
        self._place: Place = (0, 0)
        self._drawn = False

    @property
    def lines(self) -> Lines:
        """The lines that are shown: all, or those that match the filter."""
        return self.file.lines if self.filtered is None else self.filtered

    @property
    def top(self) -> int:
        """Where the first line of the view begins."""
        return self._place[0]

    @property
    def below_view(self) -> int:
        """Where the first line below the view begins."""
        shown = self._rows_from(self._place, self.height)
        return self.lines.line_at(shown[-1].line).end if shown else self.top

    def look(self) -> str | None:
        """Take notice of what became of the file; a view of another file begins anew."""
        news = self.file.look()
        if self.filtered is not None:
            self.filtered.follow(self.file.lines)
        if news is not None:
            name = self.file.path.name
            self.notice = (
                f"{name} was replaced: this is the new file"
                if news == "replaced"
                else f"{name} was cut short: shown as it is now"
            )
            self.follow, self._place, self._drawn = True, (0, 0), False
            if self.filtered is not None:
                self.filtered.begin_at(self.file.lines.size)
        return news

    def page(self) -> tuple[Row, ...]:
        """The rows of the view; following, it is moved on first."""
        if self.follow:
            self._turn_page()
        rows = self._rows_from(self._place, self.height)
        if len(rows) < self.height and self._place != (0, 0):
            # Less below than there is room for: rather the end, shown full.
            full = self._end()
            if not self.follow or not self._drawn:
                self._place = min(self._place, full)
                rows = self._rows_from(self._place, self.height)
        self._drawn = bool(rows)
        return tuple(rows)

    def resize(self, width: int, height: int) -> None:
        """The view has so many columns and rows now."""
        self.width, self.height = max(1, width), max(1, height)
        self._place, self._drawn = (self._place[0], 0), False

    def set_wrap(self, wrap: bool) -> None:
        """Break long lines, or show each in one row."""
        self.wrap, self.left = wrap, 0
        self._place, self._drawn = (self._place[0], 0), False

    def shift(self, columns: int) -> None:
        """Move the view sideways; not while lines are wrapped."""
        self.left = 0 if self.wrap else max(0, self.left + columns)

    def move(self, rows: int) -> None:
        """Move by *rows*; reaching the end follows again."""
        if self.follow and rows < 0:
            self._place = min(self._place, self._end())
        place = self._up(-rows) if rows < 0 else self._down(rows)
        end = self._end()
        self.follow = place >= end and rows > 0
        self._place = min(place, end)

    def to_start(self) -> None:
        """Go to the first line."""
        self.follow, self._place = False, (0, 0)
        if self.filtered is not None:
            self.filtered.begin_at(0)

    def to_end(self) -> None:
        """Go to the last line, and follow."""
        self.follow, self._drawn = True, False
        if self.filtered is not None:
            self.filtered.begin_at(self.file.lines.size)

    def fill(self) -> None:
        """More is known above the end: a view that follows is to be shown full."""
        self._drawn = self._drawn and not self.follow

    def hold(self) -> None:
        """Stay here, whatever is written."""
        self._place = min(self._place, self._end())
        self.follow = False

    def show_line(self, start: int) -> None:
        """Bring the line that begins at *start* into view, in its upper half unless it is there."""
        if any(row.line == start for row in self._rows_from(self._place, self.height)):
            self.hold()
            return
        self._place = (start, 0)
        self._place = min(self._up(self.height // 3), self._end())
        self.follow = False

    def show_offset(self, at: int) -> None:
        """Bring the line that holds the byte *at* into view."""
        self.show_line(self.file.lines.start_of(min(at, max(0, self.file.lines.size - 1))))

    def filter(self, filtered: FilteredLines | None) -> None:
        """Show only these lines, or all again; the view stays where it was as far as it can."""
        if filtered is None and not self.follow:
            self.filtered = None
            self._place = min(self._place, self._end())
            return
        self.filtered, self._drawn = filtered, False
        if filtered is not None:
            self.to_end()

    def _turn_page(self) -> None:
        room = self.height
        rows = self._rows_from(self._place, room + room // 3 + 1) if self._drawn else []
        if self._drawn and len(rows) <= room:
            return
        burst = not self._drawn or len(rows) > room + room // 3
        self._place = self._end(room if burst else room - room // 3)

    def _end(self, rows: int | None = None) -> Place:
        """The place from which *rows* rows (a view full) reach to the end."""
        left = self.height if rows is None else rows
        at = self.lines.size
        while left > 0:
            found = self.lines.before(at, 1)
            if not found:
                return (at if at < self.lines.size else 0, 0)
            at = found[0].start
            count = self._count(found[0])
            if count >= left:
                return (at, count - left)
            left -= count
        return (at, 0)

    def _up(self, rows: int) -> Place:
        at, skipped = self._place
        while rows > 0:
            if skipped >= rows:
                return (at, skipped - rows)
            rows -= skipped
            found = self.lines.before(at, 1)
            if not found:
                return (at, 0)
            at, skipped = found[0].start, self._count(found[0])
        return (at, skipped)

    def _down(self, rows: int) -> Place:
        at, skipped = self._place
        for line in self.lines.after(at, rows + 1):
            count = self._count(line)
            if skipped + rows < count:
                return (line.start, skipped + rows)
            rows -= count - skipped
            at, skipped = line.end, 0
        return self._end()

    def _count(self, line: LogLine) -> int:
        return len(rows_of(line.start, line.text, self.width, wrap=True)) if self.wrap else 1

    def _rows_from(self, place: Place, count: int) -> list[Row]:
        at, skipped = place
        rows: list[Row] = []
        for line in self.lines.after(at, count + 1):
            rows += rows_of(line.start, line.text, self.width, wrap=self.wrap, left=self.left)
            if len(rows) >= skipped + count:
                break
        return rows[skipped : skipped + count]
