"""The command line that the form stands for."""

from __future__ import annotations

from textual.reactive import reactive

from tui.lines import Line, line, wrap
from tui.widgets.line_view import LineView


class CommandView(LineView):
    """Wrapped between words; the whole of it is what is copied."""

    command: reactive[str] = reactive("", repaint=False)

    def watch_command(self) -> None:
        self.update_lines()

    def rows_needed(self, width: int, most: int) -> int:
        """Rows that show the whole command, as many as it may have."""
        return max(1, len(self._wrapped(width, most)))

    def lines(self, width: int, height: int) -> list[Line]:
        return [line(each, "accent") for each in self._wrapped(width, height)]

    def _wrapped(self, width: int, rows: int) -> list[str]:
        return wrap(f"$ {self.command}", width, rows, self.glyphs.ellipsis, whole=True)
