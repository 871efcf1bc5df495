"""The tabs of a run's screen. Each is mounted when it is first opened, and is shown only in front.

The rule: a tab gets one frozen `Look` and hands its parts on; it asks nobody for anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from textual.containers import Horizontal, Vertical

from tui.chart_view import ChartView
from tui.screens.run_layout import WIDE, Steadied, plan_charts, plan_overview
from tui.screens.run_series import MACHINE, OVERVIEW, SeriesMaker
from tui.state import RunDetail, Snapshot, is_over
from tui.widgets.checkpoint_list import CheckpointList
from tui.widgets.evidence_table import EvidenceTable
from tui.widgets.graph import Graph
from tui.widgets.log_tail import LogTail

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from monitor.status_model import RunStatus
    from tui.widgets.line_view import LineView

GRAPHS = 4
MOST_GRAPHS = 6
SHOWN_CHECKPOINTS = 6
EVIDENCE_S = 10.0
"""Figures of evidence that support what they did are shown anew so often."""
HOLD_TICKS = 2
"""Looks for which a log that streams is left as it is, where it is not what one came to see."""
BURST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a tab shows, and the room it has."""

    snapshot: Snapshot
    status: RunStatus | None
    detail: RunDetail | None
    view: ChartView
    width: int
    rows: int


class Scroller(Protocol):
    """A part of a tab that can be scrolled."""

    def scroll_lines(self, rows: int) -> None:
        """Move by *rows*."""

    def scroll_pages(self, pages: int) -> None:
        """Move by *pages*."""

    def jump(self, *, to_end: bool) -> None:
        """Go to the first or the last line."""


class RunTab(Vertical):
    """One tab; a subclass names its keys and fills it."""

    name_of_tab = ""
    charts = False
    """The keys of graphs do something here."""

    @property
    def scroller(self) -> Scroller | None:
        """What the keys scroll; None: nothing."""
        return None

    @property
    def log_tail(self) -> LogTail | None:
        """The log that is searched here."""
        return None

    @property
    def chosen_title(self) -> str | None:
        """Of the graph that keys act on."""
        return None

    def choose(self, steps: int) -> None:
        """Have another graph be the one that keys act on."""

    def reopen(self) -> None:
        """It comes to the front: the next look is shown at once."""

    def show(self, look: Look) -> None:
        """Show *look*."""
        raise NotImplementedError


class OverviewTab(RunTab):
    """Evidence, checkpoints, four graphs and the end of the log."""

    charts = True

    def __init__(self) -> None:
        super().__init__(id="tab-overview")
        self._series = SeriesMaker()
        self._evidence_shown: object = None
        self._log_seen = self._held = 0
        self._look: Look | None = None
        self._arranged: object = None
        self._wanted = Steadied()
        self.evidence = EvidenceTable(id="evidence")
        self.checkpoints = CheckpointList(id="checkpoints")
        self.graphs = [Graph() for _ in range(GRAPHS)]
        self.tail = LogTail(id="log")
        self._middle = Horizontal(self.evidence, id="middle")
        self._graphs_row = Horizontal(*self.graphs, id="graphs")

    def compose(self) -> ComposeResult:
        yield self._middle

    def _compose_rest(self) -> None:
        """What is not needed to read the verdict and its evidence is made after they are drawn."""
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
        series = self._series.make(OVERVIEW, look.snapshot, look.status, look.view)
        series = series if look.detail is not None else []
        self._arrange(look, len(series) or 2)
        self._show_evidence(look.snapshot, look.status)
        self.checkpoints.over = look.status is not None and is_over(look.status)
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


class LogTab(RunTab):
    """The end of the log, at every look."""

    def __init__(self) -> None:
        super().__init__(id="tab-log")
        self.tail = LogTail(id="log")

    def compose(self) -> ComposeResult:
        yield self.tail

    @property
    def scroller(self) -> Scroller:
        return self.tail

    @property
    def log_tail(self) -> LogTail:
        return self.tail

    def show(self, look: Look) -> None:
        show_log(self.tail, look)


class ChartsTab(RunTab):
    """Graphs with their scales; where not all fit, the chosen one and those after it."""

    charts = True

    def __init__(self, kind: str, head: LineView | None = None) -> None:
        super().__init__(id=f"tab-{kind}")
        self._kind = kind
        self._series = SeriesMaker()
        self._chosen = 0
        self._look: Look | None = None
        self.head = head
        self.graphs = [Graph() for _ in range(MOST_GRAPHS)]
        for graph in self.graphs:
            graph.scale = True
        self._grid = Vertical(*self.graphs, classes="grid")

    def compose(self) -> ComposeResult:
        if self.head is not None:
            yield self.head
        yield self._grid

    @property
    def chosen_title(self) -> str | None:
        shown = [graph for graph in self.graphs if graph.chosen and graph.series]
        return shown[0].series.title if shown and shown[0].series else None

    def choose(self, steps: int) -> None:
        """Choose the next graph, or the one before."""
        self._chosen += steps
        if self._look is not None:
            self.show(self._look)

    def choose_graph(self, graph: object) -> None:
        """Choose *graph*, which was clicked."""
        for position, each in enumerate(self.graphs):
            if each is graph and each.series is not None:
                self.choose(
                    position - next((at for at, other in enumerate(self.graphs) if other.chosen), 0)
                )

    def show(self, look: Look) -> None:
        self._look = look
        series = self._series.make(self._kind, look.snapshot, look.status, look.view)
        head_rows = self._show_head(look)
        layout = plan_charts(look.width, look.rows, series=len(series), head_rows=head_rows)
        if self.head is not None:
            self.head.styles.height = layout.head
            self.head.display = layout.head > 0
        self._chosen = self._chosen % len(series) if series else 0
        first = _first_shown(self._chosen, len(series), layout.shown)
        self._grid.styles.grid_size_columns = layout.columns
        for number, graph in enumerate(self.graphs):
            at = first + number
            there = number < layout.shown and at < len(series)
            graph.display = there
            graph.series = series[at] if there else None
            graph.chosen = there and at == self._chosen

    def _show_head(self, look: Look) -> int:  # noqa: ARG002 - for a tab that has one
        """Rows that the text above the graphs wants."""
        return 0


class MachineTab(ChartsTab):
    """Memory against its budget in words, then the machine's graphs."""

    def __init__(self) -> None:
        from tui.widgets.memory_view import MemoryBudget

        self.budget = MemoryBudget(id="budget")
        super().__init__(MACHINE, self.budget)

    def _show_head(self, look: Look) -> int:
        self.budget.status = look.status
        return self.budget.rows_needed(look.status) + 1


def _first_shown(chosen: int, series: int, shown: int) -> int:
    """As many graphs as fit, the chosen one among them; all of them while all fit."""
    return max(0, min(chosen, series - shown))


def show_log(tail: LogTail, look: Look) -> None:
    """Show the end of the present stage's log in *tail*."""
    detail = look.detail
    name = detail.log_name if detail else None
    if detail is not None and detail.problem:
        tail.empty_text = detail.problem
    elif look.status is not None:
        tail.empty_text = "this stage has written nothing to its log"
    tail.show(
        f"log {name}" if name else "log",
        detail.log_lines if detail else (),
        detail.log_first if detail else 0,
    )


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
