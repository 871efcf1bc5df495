"""Lines that may be more than fit: scrolled, held within the text; what is out of view is told."""

from __future__ import annotations

from tui.lines import Line, heading, line
from tui.widgets.line_view import LineView


class Scrolled(LineView):
    """A subclass says all of its lines; how the view stands in them is kept here alone."""

    HEAD = 0
    """Rows above the lines that are not scrolled."""

    MORE = ""
    """The key that leads on: while there is more below, the last row says so."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._top = 0

    def all_lines(self, width: int) -> list[Line]:
        """Everything there is to show in *width* columns."""
        raise NotImplementedError

    @property
    def top(self) -> int:
        """The first line that is shown; what is shown may have become shorter than where it was."""
        last = len(self.all_lines(self.size.width)) - max(1, self.size.height - self.HEAD)
        return min(self._top, max(0, last))

    def scroll_lines(self, rows: int) -> None:
        """Move by *rows*, held within the text."""
        self._top = max(0, self.top + rows)
        self._top = self.top
        self.update_lines()

    def scroll_pages(self, pages: int) -> None:
        """Move by *pages*, one row less than fits each."""
        rows = self.size.height - self.HEAD - bool(self.MORE)
        self.scroll_lines(pages * max(1, rows - 1))

    def jump(self, *, to_end: bool) -> None:
        """Go to the first or the last line."""
        far = len(self.all_lines(self.size.width))
        self.scroll_lines(far if to_end else -far)

    def lines(self, width: int, height: int) -> list[Line]:
        return self.shown_lines(self.all_lines(width), height)

    def shown_lines(self, every: list[Line], rows: int) -> list[Line]:
        """Those of *every* line that stand in the view's *rows*."""
        top = min(self._top, max(0, len(every) - rows))
        below = len(every) - top - rows
        if not self.MORE or below <= 0 or rows < 2:
            return every[top : top + rows]
        more = line(f"{below + 1} more lines: {self.MORE}", "muted")
        return [*every[top : top + rows - 1], more]


class ScrolledLines(Scrolled):
    """Lines under a heading, which counts what is above and below the view."""

    HEAD = 1
    TITLE = ""

    def lines(self, width: int, height: int) -> list[Line]:
        every, rows = self.all_lines(width), max(0, height - self.HEAD)
        top = min(self._top, max(0, len(every) - rows))
        below = len(every) - top - rows
        words = [f"{top} above"] * (top > 0) + [f"{below} below"] * (below > 0)
        head = heading(self.TITLE, width, self.glyphs.rule, ", ".join(words))
        return [head, *self.shown_lines(every, rows)]
