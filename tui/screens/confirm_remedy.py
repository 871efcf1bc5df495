"""Ask before a remedy is done, and say what will be run and what it loses."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from tui.lines import Line, line, wrap
from tui.screens.question import QuestionScreen
from tui.widgets.question_view import QuestionView, key_lines

if TYPE_CHECKING:
    from monitor.diagnosis.values import Remedy


class RemedyQuestion(QuestionView):
    """The commands that would be run."""

    def __init__(self, remedy: Remedy, key: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._remedy, self._key = remedy, key

    def asked(self, width: int) -> list[Line]:
        shown = [line("Do this?", "strong"), line()]
        for command in self._remedy.commands:
            whole = wrap(" ".join(command), width, 3, whole=True)  # a container's id is long
            shown += [line(each, "accent") for each in whole]
        shown.append(line())
        shown += [line(each) for each in wrap(f"It loses {self._remedy.loses}.", width, 3)]
        shown.append(line())
        return shown + key_lines(((self._key, "do it"), ("esc", "leave it")))


class ConfirmRemedyScreen(QuestionScreen[bool]):
    """Yes or no; what ends a run takes a capital letter."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "choose('y')", show=False),
        Binding("X", "choose('X')", show=False),
        Binding("escape,q,n,c", "leave", show=False),
    ]

    def __init__(self, remedy: Remedy) -> None:
        self._key = "X" if any("kill" in each[:2] for each in _ending(remedy)) else "y"
        super().__init__(RemedyQuestion(remedy, self._key, id="question"))

    def action_choose(self, key: str) -> None:
        if key == self._key:
            self.dismiss(True)

    def action_leave(self) -> None:
        self.dismiss(False)


def _ending(remedy: Remedy) -> list[tuple[str, ...]]:
    """The commands of lanewatch itself: `kill -CONT` ends nothing."""
    return [each for each in remedy.commands if each[0] == "lanewatch"]
