"""What stands above a line that is typed into: what it takes, or why it did not take that."""

from __future__ import annotations

from textual.reactive import reactive

from tui.lines import Line, clean, heading, line, wrap
from tui.widgets.line_view import LineView


class PromptNote(LineView):
    """A heading, and a sentence over as many rows as there are."""

    sentence: reactive[str] = reactive("", repaint=False)
    refused: reactive[bool] = reactive(False, repaint=False)
    """The sentence says why."""

    def __init__(self, title: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._title = title

    def watch_sentence(self) -> None:
        self.update_lines()

    def watch_refused(self) -> None:
        self.update_lines()

    def lines(self, width: int, height: int) -> list[Line]:
        tone = "bad" if self.refused else "muted"
        said = wrap(clean(self.sentence), width, height - 1, self.glyphs.ellipsis, whole=True)
        return [heading(self._title, width, self.glyphs.rule), *(line(each, tone) for each in said)]
