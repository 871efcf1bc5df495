"""Ask before a run is killed, resumed, exported, taken back into watch, or its alerts silenced."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.actions import Question
from tui.screens.question import QuestionScreen
from tui.widgets.action_question import ActionQuestion, Again


class ConfirmActionScreen(QuestionScreen[bool]):
    """Yes or no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", show=False),
        Binding("escape,q,n,c", "answer(False)", show=False),
    ]

    def __init__(self, question: Question, again: Again | None = None) -> None:
        super().__init__(ActionQuestion(question, again=again, id="question"))

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
