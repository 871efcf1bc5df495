"""The text of a question: what would be done, what it loses, the keys that answer."""

from __future__ import annotations

from collections.abc import Iterable

from tui.lines import Line
from tui.widgets.line_view import LineView


class QuestionView(LineView):
    """Text only; the screen around it has the keys."""

    def asked(self, width: int) -> list[Line]:
        """All of it, in rows of *width* columns."""
        raise NotImplementedError

    def rows_needed(self, width: int) -> int:
        """Rows that show all of it in *width* columns."""
        return len(self.asked(width))

    def lines(self, width: int, height: int) -> list[Line]:
        return self.asked(width)[:height]


def key_lines(keys: Iterable[tuple[str, str]]) -> list[Line]:
    """A row for each key and what it does."""
    return [((f"{key:>4}", "accent"), (f"  {action}", "")) for key, action in keys]
