"""The question before an action: what it is, what it loses, and the key that says yes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tui.actions import Question
from tui.lines import Line, line, wrap
from tui.widgets.question_view import QuestionView, key_lines

if TYPE_CHECKING:
    from tui.state import Snapshot

Again = Callable[["Snapshot"], Question | None]
"""The question as it would be put now; None where it could not be any more."""


class ActionQuestion(QuestionView):
    """Yes or no."""

    def __init__(
        self, question: Question, *, again: Again | None = None, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._question, self._again = question, again

    def learn(self, snapshot: Snapshot) -> bool:
        asked = self._again(snapshot) if self._again is not None else None
        if asked is None or asked == self._question:
            return False
        self._question = asked
        self.update_lines()
        return True

    def asked(self, width: int) -> list[Line]:
        asked = self._question
        shown = [line(text, "strong") for text in wrap(asked.title, width, 2)]
        shown.append(line())
        shown += [line(text) for text in wrap(asked.loses, width, 6)]
        shown.append(line())
        return shown + key_lines((("y", asked.does), ("esc", "do nothing")))
