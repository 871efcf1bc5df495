"""The top line of a run's screen: what is looked at, and where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.reactive import reactive

from tui.lines import Line, Span, cut_middle, fit, spread, width_of
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from monitor.status_model import RunStatus


class TitleLine(LineView):
    """The run's name and id at the left; lane, engine, attempt and stage at the right."""

    run: reactive[str] = reactive("", repaint=False)
    status: reactive[RunStatus | None] = reactive(None, repaint=False)
    read_only: reactive[bool] = reactive(default=False, repaint=False)

    def watch_run(self) -> None:
        self.update_lines()

    def watch_status(self) -> None:
        self.update_lines()

    def lines(self, width: int, height: int) -> list[Line]:
        name = self.status.name if self.status else None
        left: list[Span] = [(name or self.run, "strong")]
        if name:
            left.append((self.run, "muted"))
        shown = fit(left, width, gap="  ")
        if not shown:
            return [((cut_middle(self.run, width, self.glyphs.ellipsis), "strong"),)]
        right = fit(self._facts(), width - width_of(shown) - 2, gap=f" {self.glyphs.dot} ")
        return [spread(shown, right, width)][:height]

    def _facts(self) -> list[Span]:
        status = self.status
        if status is None:
            return []
        stage = status.stage or ""
        if stage and status.stage_index is not None and status.stage_count is not None:
            stage = f"stage {stage} {status.stage_index}/{status.stage_count}"
        lane = " on ".join(each for each in (status.lane, status.engine) if each)
        parts = [
            (stage, ""),
            (status.phase.replace("_", " ") if status.phase and not status.final else "", "muted"),
            (lane, "muted"),
            (f"attempt {status.attempt}" if status.attempt > 1 else "", "muted"),
            ("smoke" if status.kind == "smoke" else "", "accent"),
            ("read-only" if self.read_only else "", "muted"),
        ]
        return [(text, tone) for text, tone in parts]
