"""What stopping a run would lose, and the keys that choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.actions import loss_sentence
from tui.lines import Line, line, wrap
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from monitor.status_model import RunStatus


class StopQuestion(LineView):
    """Text only; the screen around it has the keys."""

    def __init__(self, status: RunStatus, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._status = status

    def rows_needed(self, width: int) -> int:
        """Rows that show all of it in *width* columns."""
        return len(self._all(width))

    def lines(self, width: int, height: int) -> list[Line]:
        return self._all(width)[:height]

    def _all(self, width: int) -> list[Line]:
        status = self._status
        asked = f"Stop {status.name or status.run}?"
        shown = [line(text, "strong") for text in wrap(asked, width, 2)]
        shown.append(line())
        shown += [line(text) for text in wrap(loss_sentence(status), width, 3)]
        shown.append(line())
        keys = (
            ("s", "save at the next step, then stop"),
            ("X", "stop now, without saving"),
            ("esc", "leave it running"),
        )
        shown += [((f"{key:>4}", "accent"), (f"  {action}", "")) for key, action in keys]
        return shown
