"""The checkpoints of a run as a timeline, in sentences, and as a table, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.reactive import reactive

from tui.checkpoint_timeline import Entry, entries, next_save, sentences
from tui.lines import Line, Span, fit, pad, wrap
from tui.presentation import age, ago, clock, duration, size
from tui.state import is_over
from tui.widgets.scrolled_lines import ScrolledLines

if TYPE_CHECKING:
    from monitor.status_model import RunStatus
    from tui.state import RunDetail

STATE = 14
TONES = {"whole": "", "writing": "good", "half-written": "warn", "deleted": "muted"}


class CheckpointView(ScrolledLines):
    """Cadence, cost, size, what is half-written, what comes next, how long the disk lasts."""

    TITLE = "checkpoints"

    status: reactive[RunStatus | None] = reactive(None, repaint=False)
    detail: reactive[RunDetail | None] = reactive(None, repaint=False)
    now_wall: reactive[float] = reactive(0.0, repaint=False)

    def show(self, status: RunStatus | None, detail: RunDetail | None, now_wall: float) -> None:
        """Show what is known of the checkpoints at *now_wall*."""
        self.set_reactive(CheckpointView.status, status)
        self.set_reactive(CheckpointView.detail, detail)
        self.set_reactive(CheckpointView.now_wall, now_wall)
        self.update_lines()

    def all_lines(self, width: int) -> list[Line]:
        status, detail = self.status, self.detail
        if status is None:
            return []
        found = entries(status, detail.saves if detail else (), self.now_wall)
        shown: list[Line] = []
        axis = self._axis(status, found, width)
        if axis:
            shown += [axis, ()]
        for text, tone in sentences(status, detail, found):
            shown += [((row, tone),) for row in wrap(text, width, 3, self.glyphs.ellipsis)]
        if not found:
            return [*shown, (("none" if is_over(status) else "none yet", "muted"),)]
        shown += [()] * bool(shown)
        return [*shown, _head(width), *(self._row(each, width) for each in reversed(found))]

    def _axis(self, status: RunStatus, found: Sequence[Entry], width: int) -> Line | None:
        """All saves where they lie between the first iteration and the last."""
        total = status.iteration.total
        if not total or width < 20:
            return None
        ends = f" {total}"
        room = width - len(ends)
        cells = [(self.glyphs.rule, "rule")] * room

        def place(iteration: int) -> int:
            return min(room - 1, iteration * room // max(1, total))

        due = next_save(status, self.detail.save_interval if self.detail else None)
        if due is not None:
            cells[place(due)] = ("?", "accent")
        for each in found:
            cells[place(each.iteration)] = (self.glyphs.checkpoints[each.state], TONES[each.state])
        return (*_runs(cells), (ends, "muted"))

    def _row(self, entry: Entry, width: int) -> Line:
        when = age(ago(entry.wall_s, self.now_wall))
        state = f"{self.glyphs.checkpoints[entry.state]} {entry.state}"
        parts: list[Span] = [
            (pad(str(entry.iteration), 9, right=True), "strong"),
            (pad(state, STATE), TONES[entry.state]),
            (pad(f"{when} ago" if entry.wall_s is not None else "", 11, right=True), "muted"),
            (pad(size(entry.size_bytes), 9, right=True), ""),
            (pad(duration(entry.save_s), 7, right=True), ""),
            (pad(duration(entry.gap_s), 10, right=True), "muted"),
            (pad(clock(entry.wall_s, self.now_wall), 12, right=True), "muted"),
        ]
        return fit(parts, width, gap=" ")


def _head(width: int) -> Line:
    columns = (
        pad("iteration", 9, right=True),
        pad("", STATE),
        pad("written", 11, right=True),
        pad("size", 9, right=True),
        pad("save", 7, right=True),
        pad("since last", 10, right=True),
        pad("at", 12, right=True),
    )
    return fit([(each, "muted") for each in columns], width, gap=" ")


def _runs(cells: Sequence[Span]) -> list[Span]:
    """Neighbours of one tone as one span."""
    merged: list[Span] = []
    for text, tone in cells:
        if merged and merged[-1][1] == tone:
            merged[-1] = (merged[-1][0] + text, tone)
        else:
            merged.append((text, tone))
    return merged
