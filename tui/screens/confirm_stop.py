"""Ask before a run is stopped, and say what each way of stopping loses."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from tui.screens.question import QuestionScreen
from tui.widgets.stop_question import StopQuestion

if TYPE_CHECKING:
    from monitor.status_model import RunStatus


class Choice(StrEnum):
    """What was chosen."""

    SAVE = "save"
    NOW = "now"
    CANCEL = "cancel"


class ConfirmStopScreen(QuestionScreen[Choice]):
    """Two ways of stopping, and leaving it.

    None by the key that asked: a key that bounces, or is pressed twice, stops nothing.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "choose('save')", show=False),
        Binding("X", "choose('now')", show=False),
        Binding("escape,q,n,c", "choose('cancel')", show=False),
    ]

    def __init__(self, status: RunStatus) -> None:
        super().__init__(StopQuestion(status, id="question"))

    def action_choose(self, choice: str) -> None:
        self.dismiss(Choice(choice))
