"""The text of a question: what would be done, what it loses, the keys that answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual import events

from tui.lines import Line
from tui.widgets.key_bar import name_of
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from tui.state import Snapshot

KEY_COLUMNS = 4


class QuestionView(LineView):
    """Text only; the screen around it has the keys."""

    def asked(self, width: int) -> list[Line]:
        """All of it, in rows of *width* columns."""
        raise NotImplementedError

    def learn(self, _snapshot: Snapshot) -> bool:
        """Ask what is true now; True where that is another question."""
        return False

    def rows_needed(self, width: int) -> int:
        """Rows that show all of it in *width* columns."""
        return len(self.asked(width))

    def lines(self, width: int, height: int) -> list[Line]:
        return self.asked(width)[:height]

    def on_click(self, event: events.Click) -> None:
        """A click on an answer is its key."""
        offset = event.get_content_offset(self)
        row = self._shown[offset.y] if offset and offset.y < len(self._shown) else ()
        if row and row[0][0] == f"{row[0][0].strip():>{KEY_COLUMNS}}" and row[0][1] == "accent":
            self.app.simulate_key(name_of(row[0][0].strip()) or "")


def key_lines(keys: Iterable[tuple[str, str]]) -> list[Line]:
    """A row for each key and what it does."""
    return [((f"{key:>{KEY_COLUMNS}}", "accent"), (f"  {action}", "")) for key, action in keys]
