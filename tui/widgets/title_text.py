"""A line of text that does not change: the heading of a screen."""

from __future__ import annotations

from tui.lines import Line, cut_words, line
from tui.widgets.line_view import LineView


class TitleText(LineView):
    """Bold, cut at its end."""

    def __init__(self, text: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._text = text

    def lines(self, width: int, height: int) -> list[Line]:
        return [line(cut_words(self._text, width, self.glyphs.ellipsis), "strong")][:height]
