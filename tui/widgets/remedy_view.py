"""What to do first about a run: one sentence, or nothing at all."""

from __future__ import annotations

from textual.reactive import reactive

from tui.lines import Line, wrap
from tui.widgets.line_view import LineView

LABEL = "do: "


class RemedyView(LineView):
    """Wraps, so that a command in it can be read and copied whole."""

    remedy: reactive[str] = reactive("", repaint=False)

    def watch_remedy(self) -> None:
        self.update_lines()

    @staticmethod
    def rows_needed(remedy: str, width: int) -> int:
        """Rows that show all of it in *width* columns."""
        return len(wrap(remedy, width - len(LABEL), 9)) if remedy else 0

    def lines(self, width: int, height: int) -> list[Line]:
        if not self.remedy:
            return []
        rows = wrap(self.remedy, width - len(LABEL), height, self.glyphs.ellipsis)
        first, *rest = rows or [""]
        return [
            ((LABEL, "accent"), (first, "strong")),
            *(((" " * len(LABEL), ""), (row, "strong")) for row in rest),
        ]
