"""The question before an action: what it is, what it loses, and the key that says yes."""

from __future__ import annotations

from tui.actions import Question
from tui.lines import Line, line, wrap
from tui.widgets.line_view import LineView


class ActionQuestion(LineView):
    """Text only; the screen around it has the keys."""

    def __init__(self, question: Question, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._question = question

    def rows_needed(self, width: int) -> int:
        """Rows that show all of it in *width* columns."""
        return len(self._all(width))

    def lines(self, width: int, height: int) -> list[Line]:
        return self._all(width)[:height]

    def _all(self, width: int) -> list[Line]:
        asked = self._question
        shown = [line(text, "strong") for text in wrap(asked.title, width, 2)]
        shown.append(line())
        shown += [line(text) for text in wrap(asked.loses, width, 6)]
        shown.append(line())
        keys = (("y", asked.does), ("esc", "do nothing"))
        return [*shown, *(((f"{key:>4}", "accent"), (f"  {does}", "")) for key, does in keys)]
