"""Lines under a heading that may be more than fit: they are scrolled, and the heading counts."""

from __future__ import annotations

from tui.lines import Line, heading
from tui.widgets.line_view import LineView


class ScrolledLines(LineView):
    """A subclass says all of its lines; what is above and below the view is said, never lost."""

    TITLE = ""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._top = 0

    def all_lines(self, width: int) -> list[Line]:
        """Everything there is to show in *width* columns."""
        raise NotImplementedError

    def scroll_lines(self, rows: int) -> None:
        """Move by *rows*, held within the text."""
        self._move_to(self._top + rows)

    def scroll_pages(self, pages: int) -> None:
        """Move by *pages*, one row less than fits each."""
        self._move_to(self._top + pages * max(1, self.size.height - 2))

    def jump(self, *, to_end: bool) -> None:
        """Go to the first or the last line."""
        self._move_to(len(self.all_lines(self.size.width)) if to_end else 0)

    def lines(self, width: int, height: int) -> list[Line]:
        shown = self.all_lines(width)
        room = max(0, height - 1)
        # What is shown may have become shorter than where the view stands.
        top = min(self._top, max(0, len(shown) - room))
        below = len(shown) - top - room
        words = [f"{top} above"] * (top > 0) + [f"{below} below"] * (below > 0)
        head = heading(self.TITLE, width, self.glyphs.rule, ", ".join(words))
        return [head, *shown[top : top + room]]

    def _move_to(self, top: int) -> None:
        last = max(0, len(self.all_lines(self.size.width)) - max(1, self.size.height - 1))
        self._top = min(max(0, top), last)
        self.update_lines()
