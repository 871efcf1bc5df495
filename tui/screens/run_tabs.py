"""The tabs of a run's screen that show its log and its graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical

from tui.screens.run_layout import plan_charts
from tui.screens.run_series import MACHINE, SeriesMaker
from tui.screens.run_tab import Look, RunTab, Scroller, show_log
from tui.widgets.graph import Graph
from tui.widgets.log_tail import LogTail

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.widgets.line_view import LineView

MOST_GRAPHS = 6


class LogTab(RunTab):
    """The end of the log, at every look."""

    scrolls = "log"

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
        series = series if look.detail is not None else []  # those read are another run's
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
