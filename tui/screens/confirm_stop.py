"""Ask before a run is stopped, and say what each way of stopping loses."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tui.widgets.stop_question import StopQuestion

if TYPE_CHECKING:
    from monitor.status_model import RunStatus

SHORT_ROWS = 16


class Choice(StrEnum):
    """What was chosen."""

    SAVE = "save"
    NOW = "now"
    CANCEL = "cancel"


class ConfirmStopScreen(ModalScreen[Choice]):
    """Nothing is preselected: stopping takes a deliberate second key."""

    CSS_PATH = "confirm_stop.tcss"
    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "choose('save')", show=False),
        Binding("X", "choose('now')", show=False),
        Binding("escape,q,n,c", "choose('cancel')", show=False),
    ]

    def __init__(self, status: RunStatus) -> None:
        super().__init__()
        self._question = StopQuestion(status, id="question")

    def compose(self) -> ComposeResult:
        yield self._question

    def on_resize(self, event: events.Resize) -> None:
        short = event.size.height < SHORT_ROWS
        self.set_class(short, "-short")
        sides, above_and_below = (2, 0) if short else (4, 2)
        rows = self._question.rows_needed(min(70, event.size.width) - sides)
        self._question.styles.height = rows + above_and_below

    def action_choose(self, choice: str) -> None:
        self.dismiss(Choice(choice))
