"""What happened to a run, newest first. Foreign text, never markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.reactive import reactive

from tui.lines import Line, clean, pad, wrap
from tui.presentation import clock
from tui.widgets.scrolled_lines import ScrolledLines

if TYPE_CHECKING:
    from monitor.events import Event

TIME_WIDTH = 13
KIND_WIDTH = 11
LEAST_WITH_KIND = 60
TONES = {"alert": "warn", "action": "accent", "verdict": "strong"}


class EventList(ScrolledLines):
    """A time, a kind and a sentence each; a long sentence takes more rows, not an ellipsis."""

    TITLE = "events, newest first"

    events: reactive[tuple[Event, ...]] = reactive((), repaint=False)
    now_wall: reactive[float] = reactive(0.0, repaint=False)

    def show(self, events: tuple[Event, ...], now_wall: float) -> None:
        """Show *events*, which come oldest first; *now_wall* says which of them are of today."""
        self.set_reactive(EventList.now_wall, now_wall)
        if events is not self.events:
            self.set_reactive(EventList.events, events)
            self.update_lines()

    def all_lines(self, width: int) -> list[Line]:
        if not self.events:
            return [(("no events", "muted"),)]
        return [row for event in reversed(self.events) for row in self._rows(event, width)]

    def _rows(self, event: Event, width: int) -> list[Line]:
        kind = KIND_WIDTH if width >= LEAST_WITH_KIND else 0
        left = TIME_WIDTH + kind
        text = clean(event.text)
        first, *rest = wrap(text, max(10, width - left), 4, self.glyphs.ellipsis) or [""]
        tone = TONES.get(event.kind, "")
        head: Line = ((pad(clock(event.wall_s, self.now_wall), TIME_WIDTH), "muted"),)
        if kind:
            head += ((pad(clean(event.kind)[: kind - 1], kind), tone),)
        return [(*head, (first, "")), *(((" " * left, ""), (row, "")) for row in rest)]
