"""A run's verdict by glyph, word and colour, and the sentence that gives its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.reactive import reactive

from tui.lines import Line, wrap
from tui.notices import notices
from tui.state import is_over
from tui.verdict_words import verdict_label, verdict_rows
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from monitor.early_word import EarlyWord
    from monitor.status_model import RunStatus


MOST_ROWS = 9


class VerdictView(LineView):
    """Several rows: the verdict first, then as much of the reason as there is room for."""

    status: reactive[RunStatus | None] = reactive(None, repaint=False)
    now_wall: reactive[float] = reactive(0.0, repaint=False)
    empty_text: reactive[str] = reactive("", repaint=False)
    keys: reactive[bool] = reactive(default=False, repaint=False)
    """Beside it a key does what a command would do elsewhere: the key is named, it is shorter."""
    early: EarlyWord | None = None
    """What stands until the run has been read."""

    def show(self, status: RunStatus | None, now_wall: float) -> None:
        """Show *status*; *now_wall* dates the verdict."""
        self.set_reactive(VerdictView.status, status)
        self.set_reactive(VerdictView.now_wall, now_wall)
        self.update_lines()

    def rows_needed(self, status: RunStatus | None, width: int) -> int:
        """Rows that would show all there is to say of *status*."""
        if status is None:
            return max(2, len(self._early_rows(width, MOST_ROWS)))
        rows = verdict_rows(self._label(status), status.reason, width, MOST_ROWS, self.glyphs)
        return len(rows) + len(notices(status, self.glyphs))

    def lines(self, width: int, height: int) -> list[Line]:
        status = self.status
        if status is None:
            said = self._early_rows(width, height)
            return said or [((each, "muted"),) for each in wrap(self.empty_text, width, height)]
        told = [
            (row, tone)
            for text, tone in notices(status, self.glyphs)[: max(min(height - 1, 1), height - 2)]
            for row in wrap(self._by_key(text, status, width), width, 1, self.glyphs.ellipsis)
        ]
        label = self._label(status)
        rows = verdict_rows(label, status.reason, width, height - len(told), self.glyphs)
        return rows + [((text, tone),) for text, tone in told]

    def _early_rows(self, width: int, height: int) -> list[Line]:
        word = self.early
        if word is None:
            return []
        label = verdict_label(
            word.verdict, word.since_wall, word.read_wall, self.glyphs, over=word.over
        )
        return verdict_rows(label, word.reason, width, height, self.glyphs)

    def _label(self, status: RunStatus) -> Line:
        over = is_over(status)
        return verdict_label(
            status.verdict.value, status.since_wall, self.now_wall, self.glyphs, over=over
        )

    def _by_key(self, text: str, status: RunStatus, width: int) -> str:
        if not self.keys:
            # Half a command is none.
            return text if len(text) <= width else text.partition(": lanewatch ")[0]
        for command, key in (("watch", "w"), ("ack", "a")):
            text = text.replace(f"lanewatch {command} {status.run}", f"press {key}")
        return text
