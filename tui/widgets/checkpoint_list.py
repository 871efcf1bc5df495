"""The checkpoints of a run, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.reactive import reactive

from tui.lines import Line, fit, heading, pad
from tui.presentation import age, duration, size
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from monitor.status_model import CheckpointView


class CheckpointList(LineView):
    """A row a checkpoint; those that a resume could not use are said to be incomplete."""

    checkpoints: reactive[tuple[CheckpointView, ...]] = reactive((), repaint=False)
    over: reactive[bool] = reactive(default=False, repaint=False)
    """The run has ended: ages say nothing of it any more and are left out."""

    saving: reactive[bool] = reactive(default=False, repaint=False)
    """The newest one is being written, if it is not whole."""

    def watch_saving(self) -> None:
        self.update_lines()

    def watch_checkpoints(self) -> None:
        self.update_lines()

    def watch_over(self) -> None:
        self.update_lines()

    def lines(self, width: int, height: int) -> list[Line]:
        newest = sorted(self.checkpoints, key=lambda each: -each.iteration)
        rows = [self._row(each, width, newest=at == 0) for at, each in enumerate(newest)]
        if not rows:
            rows = [(("none" if self.over else "none yet", "muted"),)]
        hidden = len(rows) - (height - 1)
        note = f"{hidden} more" if hidden > 0 else ""
        return [heading("checkpoints", width, self.glyphs.rule, note), *rows]

    def _row(self, checkpoint: CheckpointView, width: int, *, newest: bool) -> Line:
        when = "" if self.over else pad(f"{age(checkpoint.age_s)} ago", 11, right=True)
        cost = "" if checkpoint.save_s is None else f"saved in {duration(checkpoint.save_s)}"
        state, tone = ("writing", "good") if newest and self.saving else ("half-written", "warn")
        state = "" if checkpoint.complete else f"{self.glyphs.checkpoints[state]} {state}"
        parts = [
            (pad(str(checkpoint.iteration), 7, right=True), ""),
            (when, "muted"),
            (state, tone),
            (pad(size(checkpoint.size_bytes), 9, right=True), "muted"),
            (cost, "muted"),
        ]
        return fit(parts, width, gap=" ")
