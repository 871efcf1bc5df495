"""Ask before something is done, on top of the screen that it was asked from."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.geometry import Size
from textual.screen import ModalScreen

from tui.widgets.question_view import QuestionView

if TYPE_CHECKING:
    from tui.state import Snapshot

SHORT_ROWS = 16
MOST_COLUMNS = 70

Answer = TypeVar("Answer")


class QuestionScreen(ModalScreen[Answer]):
    """Nothing is preselected: an answer takes a deliberate second key, which a subclass binds."""

    CSS_PATH = "question.tcss"
    AUTO_FOCUS = None

    def __init__(self, question: QuestionView) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        yield self._question

    def show_state(self, snapshot: Snapshot) -> None:
        """What would be lost grows while the question stands there unanswered."""
        if self._question.learn(snapshot):
            self._fit(self.size)

    def on_resize(self, event: events.Resize) -> None:
        self._fit(event.size)

    def _fit(self, size: Size) -> None:
        short = size.height < SHORT_ROWS
        self.set_class(short, "-short")
        sides, above_and_below = (2, 0) if short else (4, 2)
        rows = self._question.rows_needed(min(MOST_COLUMNS, size.width) - sides)
        self._question.styles.height = rows + above_and_below
