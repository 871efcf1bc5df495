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

    def lines(self, width: int, height: int) -> list[Line]:
        rows = wrap(f"$ {self.command}", width, height, self.glyphs.ellipsis, whole=True)
        return [line(each, "accent") for each in rows]
