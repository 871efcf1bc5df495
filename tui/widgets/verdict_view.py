"""A run's verdict by glyph, word and colour, and the sentence that gives its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.reactive import reactive

from tui.glyphs import TONES
from tui.lines import Line, wrap
from tui.notices import notices
from tui.presentation import age, ago, steady
from tui.state import is_over
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from monitor.status_model import RunStatus


class VerdictView(LineView):
    """Several rows: the verdict first, then as much of the reason as there is room for."""

    status: reactive[RunStatus | None] = reactive(None, repaint=False)
    now_wall: reactive[float] = reactive(0.0, repaint=False)
    empty_text: reactive[str] = reactive("", repaint=False)
    keys: reactive[bool] = reactive(default=False, repaint=False)
    """Beside it a key does what a command would do elsewhere: the key is named, it is shorter."""

    def show(self, status: RunStatus | None, now_wall: float) -> None:
        """Show *status*; *now_wall* dates the verdict."""
        self.set_reactive(VerdictView.status, status)
        self.set_reactive(VerdictView.now_wall, now_wall)
        self.update_lines()

    def rows_needed(self, status: RunStatus | None, width: int) -> int:
        """Rows that would show all there is to say of *status*."""
        if status is None:
            return 2
        label = "".join(text for text, _ in self._head(status))
        rows = len(wrap(f"{label} {steady(status.reason)}", width, 9))
        return rows + len(notices(status, self.glyphs))

    def lines(self, width: int, height: int) -> list[Line]:
        status = self.status
        if status is None:
            return [((each, "muted"),) for each in wrap(self.empty_text, width, height)]
        head = self._head(status)
        told = [
            (row, tone)
            for text, tone in notices(status, self.glyphs)[: max(min(height - 1, 1), height - 2)]
            for row in wrap(self._by_key(text, status, width), width, 1, self.glyphs.ellipsis)
        ]
        label = "".join(text for text, _ in head)
        reason = steady(status.reason) or "no reason given"
        body = wrap(f"{label} {reason}", width, height - len(told), self.glyphs.ellipsis)
        first = body[0][len(label) :] if body and body[0].startswith(label) else None
        shown: list[Line] = (
            [((each, ""),) for each in body] if first is None else [(*head, (first, ""))]
        )
        shown += [((each, ""),) for each in body[len(shown) :]]
        return shown + [((text, tone),) for text, tone in told]

    def _by_key(self, text: str, status: RunStatus, width: int) -> str:
        if not self.keys:
            # Half a command is none.
            return text if len(text) <= width else text.partition(": lanewatch ")[0]
        for command, key in (("watch", "w"), ("ack", "a")):
            text = text.replace(f"lanewatch {command} {status.run}", f"press {key}")
        return text

    def _head(self, status: RunStatus) -> Line:
        tone = TONES[status.verdict]
        word = f"{self.glyphs.verdict(status.verdict)} {status.verdict.value}"
        if status.since_wall is None or self.now_wall <= 0:
            return ((word, tone), (":", "muted"))
        since = age(ago(status.since_wall, self.now_wall))
        dated = f" {since} ago:" if is_over(status) else f" for {since}:"
        return ((word, tone), (dated, "muted"))
