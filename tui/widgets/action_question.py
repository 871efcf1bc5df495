"""The question before an action: what it is, what it loses, and the key that says yes."""

from __future__ import annotations

from tui.actions import Question
from tui.lines import Line, line, wrap
from tui.widgets.question_view import QuestionView, key_lines


class ActionQuestion(QuestionView):
    """Yes or no."""

    def __init__(self, question: Question, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._question = question

    def asked(self, width: int) -> list[Line]:
        asked = self._question
        shown = [line(text, "strong") for text in wrap(asked.title, width, 2)]
        shown.append(line())
        shown += [line(text) for text in wrap(asked.loses, width, 6)]
        shown.append(line())
        return shown + key_lines((("y", asked.does), ("esc", "do nothing")))
