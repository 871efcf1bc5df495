"""Ask before a diagnosis does more than look: pause the trainer, or start a container beside it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.lines import Line, line, wrap
from tui.screens.question import QuestionScreen
from tui.widgets.question_view import QuestionView, key_lines

ROWS = 8


class LookQuestion(QuestionView):
    """What would be done to see more."""

    def __init__(self, words: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._words = words

    def asked(self, width: int) -> list[Line]:
        shown = [line("Look deeper?", "strong"), line()]
        shown += [line(each) for each in wrap(self._words, width, ROWS)]
        shown.append(line())
        return shown + key_lines((("y", "do it"), ("esc", "leave it")))


class ConfirmLookScreen(QuestionScreen[bool]):
    """Yes or no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", show=False),
        Binding("escape,q,n,c", "answer(False)", show=False),
    ]

    def __init__(self, words: str) -> None:
        super().__init__(LookQuestion(words, id="question"))

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
