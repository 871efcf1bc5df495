"""Ask before a remedy is done, and say what will be run and what it loses."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tui.lines import Line, line, wrap
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from monitor.diagnosis.values import Remedy

SHORT_ROWS = 16


class RemedyQuestion(LineView):
    """Text only; the screen around it has the keys."""

    def __init__(self, remedy: Remedy, key: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._remedy, self._key = remedy, key

    def rows_needed(self, width: int) -> int:
        """Rows that show all of it in *width* columns."""
        return len(self._all(width))

    def lines(self, width: int, height: int) -> list[Line]:
        return self._all(width)[:height]

    def _all(self, width: int) -> list[Line]:
        shown = [line("Do this?", "strong"), line()]
        for command in self._remedy.commands:
            shown += [line(each, "accent") for each in wrap(" ".join(command), width, 3)]
        shown.append(line())
        shown += [line(each) for each in wrap(f"It loses {self._remedy.loses}.", width, 3)]
        shown.append(line())
        for key, action in ((self._key, "do it"), ("esc", "leave it")):
            shown.append(((f"{key:>4}", "accent"), (f"  {action}", "")))
        return shown


class ConfirmRemedyScreen(ModalScreen[bool]):
    """Nothing is preselected; what ends a run takes a capital letter."""

    CSS_PATH = "confirm_remedy.tcss"
    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "choose('y')", show=False),
        Binding("X", "choose('X')", show=False),
        Binding("escape,q,n,c", "leave", show=False),
    ]

    def __init__(self, remedy: Remedy) -> None:
        super().__init__()
        self._key = "X" if any("kill" in each[:2] for each in _ending(remedy)) else "y"
        self._question = RemedyQuestion(remedy, self._key, id="question")

    def compose(self) -> ComposeResult:
        yield self._question

    def on_resize(self, event: events.Resize) -> None:
        short = event.size.height < SHORT_ROWS
        self.set_class(short, "-short")
        sides, above_and_below = (2, 0) if short else (4, 2)
        rows = self._question.rows_needed(min(70, event.size.width) - sides)
        self._question.styles.height = rows + above_and_below

    def action_choose(self, key: str) -> None:
        if key == self._key:
            self.dismiss(True)

    def action_leave(self) -> None:
        self.dismiss(False)


def _ending(remedy: Remedy) -> list[tuple[str, ...]]:
    """The commands of lanewatch itself: `kill -CONT` ends nothing."""
    return [each for each in remedy.commands if each[0] == "lanewatch"]
