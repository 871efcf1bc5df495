"""Ask before a run is killed, resumed, exported, taken back into watch, or its alerts silenced."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tui.actions import Question
from tui.widgets.action_question import ActionQuestion

SHORT_ROWS = 16
MOST_COLUMNS = 70


class ConfirmActionScreen(ModalScreen[bool]):
    """Nothing is preselected: it takes a deliberate second key."""

    CSS_PATH = "confirm_action.tcss"
    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", show=False),
        Binding("escape,q,n,c", "answer(False)", show=False),
    ]

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = ActionQuestion(question, id="question")

    def compose(self) -> ComposeResult:
        yield self._question

    def on_resize(self, event: events.Resize) -> None:
        short = event.size.height < SHORT_ROWS
        self.set_class(short, "-short")
        sides, above_and_below = (2, 0) if short else (4, 2)
        rows = self._question.rows_needed(min(MOST_COLUMNS, event.size.width) - sides)
        self._question.styles.height = rows + above_and_below

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
