"""What stopping a run would lose, and the keys that choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.actions import loss_sentence
from tui.lines import Line, line, wrap
from tui.state import QUEUED
from tui.widgets.question_view import QuestionView, key_lines

if TYPE_CHECKING:
    from monitor.status_model import RunStatus
    from tui.state import Snapshot


RUNNING = (
    ("y", "save at the next step, then stop"),
    ("X", "stop now, without saving"),
    ("esc", "leave it running"),
)
WAITING = (("y", "take it out of the queue"), ("esc", "leave it waiting"))


class StopQuestion(QuestionView):
    """Two ways to stop, and what is lost without saving."""

    def __init__(self, status: RunStatus, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._status = status

    def learn(self, snapshot: Snapshot) -> bool:
        status = snapshot.status_of(self._status.run)
        if status is None or status == self._status:
            return False
        self._status = status
        self.update_lines()
        return True

    def asked(self, width: int) -> list[Line]:
        status = self._status
        asked = f"Stop {status.name or status.run}?"
        shown = [line(text, "strong") for text in wrap(asked, width, 2)]
        shown.append(line())
        shown += [line(text) for text in wrap(loss_sentence(status), width, 3)]
        shown.append(line())
        return shown + key_lines(WAITING if status.status == QUEUED else RUNNING)
