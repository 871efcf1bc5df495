"""The tab that a run's screen opens with: evidence, checkpoints, graphs and the end of the log."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from textual.containers import Horizontal

from tui.screens.run_layout import WIDE, Steadied, plan_overview
from tui.screens.run_tab import Look, RunTab, Scroller, show_log
from tui.state import is_over, is_saving
from tui.widgets.evidence_table import EvidenceTable

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from monitor.status_model import RunStatus
    from tui.screens.run_series import SeriesMaker
    from tui.state import Snapshot
    from tui.widgets.checkpoint_list import CheckpointList
    from tui.widgets.graph import Graph
    from tui.widgets.line_view import LineView
    from tui.widgets.log_tail import LogTail

GRAPHS = 4
SHOWN_CHECKPOINTS = 6
EVIDENCE_S = 10.0
"""Figures of evidence that support what they did are shown anew so often."""
HOLD_TICKS = 2
"""Looks for which a log that streams is left as it is, where it is not what one came to see."""
BURST = 2


class OverviewTab(RunTab):
    """Evidence, checkpoints, four graphs and the end of the log."""

    charts = True
    scrolls = "log"

    def __init__(self) -> None:
        super().__init__(id="tab-overview")
        self._evidence_shown: object = None
        self._log_seen = self._held = 0
        self._look: Look | None = None
        self._arranged: object = None
        self._wanted = Steadied()
        self.evidence = EvidenceTable(id="evidence")
        self._middle = Horizontal(self.evidence, id="middle")

    @cached_property
    def checkpoints(self) -> CheckpointList:
        """What is not needed to read the verdict and its evidence is made after they are drawn."""
        from tui.widgets.checkpoint_list import CheckpointList

        return CheckpointList(id="checkpoints")

    @cached_property
    def graphs(self) -> list[Graph]:
        """They share a row, as many as it has room for."""
        from tui.widgets.graph import Graph

        return [Graph() for _ in range(GRAPHS)]

    @cached_property
    def tail(self) -> LogTail:
        """The end of the log."""
        from tui.widgets.log_tail import LogTail

        return LogTail(id="log")

    @cached_property
    def _series(self) -> SeriesMaker:
        from tui.screens.run_series import SeriesMaker

        return SeriesMaker()

    @cached_property
    def _graphs_row(self) -> Horizontal:
        return Horizontal(*self.graphs, id="graphs")

    def compose(self) -> ComposeResult:
        yield self._middle

    def _compose_rest(self) -> None:
        self._middle.mount(self.checkpoints)
        self.mount(self._graphs_row, self.tail)
        if self._look is not None:
            self.show(self._look)

    @property
    def scroller(self) -> Scroller:
        return self.tail

    @property
    def log_tail(self) -> LogTail:
        return self.tail

    @property
    def chosen_title(self) -> str:
        return "loss"

    def reopen(self) -> None:
        self._held = HOLD_TICKS

    def show(self, look: Look) -> None:
        if self._look is None:
            self.call_after_refresh(self._compose_rest)
        self._look = look
        series = self._series.make("overview", look.snapshot, look.status, look.view)
        series = series if look.detail is not None else []
        self._arrange(look, len(series) or 2)
        self._show_evidence(look.snapshot, look.status)
        self.checkpoints.over = look.status is not None and is_over(look.status)
        self.checkpoints.saving = look.status is not None and is_saving(look.status)
        self.checkpoints.checkpoints = look.status.checkpoints if look.status else ()
        for number, graph in enumerate(self.graphs):
            graph.series = series[number] if number < len(series) else None
        self._show_log(look)

    def _arrange(self, look: Look, series: int) -> None:
        # Each style is set to what it is at nearly every look, and that costs nothing.
        wanted = _middle_rows(look.status, beside=look.width >= WIDE - 2)
        at = (look.width, look.rows, look.status.run if look.status else None)
        if at != self._arranged:
            self._arranged = at
            self._wanted.forget()
        wanted = self._wanted.rows(wanted, look.snapshot.taken_wall)
        layout = plan_overview(look.width, look.rows, evidence_rows=wanted, series=series)
        self.set_class(not layout.wide, "-one-column")
        self.tail.display = layout.log > 0
        _set_rows(self._middle, [self.evidence, self.checkpoints], layout.evidence)
        _set_rows(self._graphs_row, self.graphs, layout.graphs)
        for number, graph in enumerate(self.graphs):
            graph.display = number < layout.graph_count
            graph.set_class(number == layout.graph_count - 1, "-last")

    def _show_evidence(self, snapshot: Snapshot, status: RunStatus | None) -> None:
        """At once when it supports something else; else its figures only every few seconds.

        CPU seconds and percentages move at every look, and each move is sent to the terminal.
        """
        evidence = status.evidence if status else ()
        supports = tuple((each.signal, each.supports) for each in evidence)
        when = snapshot.taken_wall // EVIDENCE_S
        shown = (when, status.verdict if status else None, supports)
        if shown != self._evidence_shown:
            self._evidence_shown = shown
            self.evidence.evidence = evidence
        self.evidence.problems = status.problems if status else ()
        self.evidence.over = status is not None and is_over(status)

    def _show_log(self, look: Look) -> None:
        """A log that streams is shown in bursts: here it is a glance, tab 5 has all of it."""
        detail = look.detail
        seen = detail.log_first + len(detail.log_lines) if detail else 0
        streams = seen - self._log_seen > BURST and self.tail.follow and self._log_seen > 0
        if streams and self._held < HOLD_TICKS:
            self._held += 1
            return
        self._held, self._log_seen = 0, seen
        show_log(self.tail, look)


def _set_rows(row: Horizontal, parts: Sequence[LineView], rows: int) -> None:
    """Give a row of widgets its height; none hides it."""
    row.display = rows > 0
    for part in parts:
        part.styles.height = rows


def _middle_rows(status: RunStatus | None, *, beside: bool) -> int:
    """Rows for all evidence, and for the newest checkpoints where they stand beside it."""
    if status is None:
        return 2
    evidence = EvidenceTable.rows(status.evidence, status.problems)
    checkpoints = min(SHOWN_CHECKPOINTS, len(status.checkpoints)) + 1
    return max(evidence, checkpoints) if beside else evidence
