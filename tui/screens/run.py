"""One run: verdict with its evidence, progress, graphs, checkpoints and the end of its log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from tui.screens.base import StateScreen
from tui.screens.board import STOP_KEY
from tui.screens.run_layout import RunLayout, plan
from tui.screens.run_series import SeriesMaker
from tui.state import RunDetail, Snapshot, is_over
from tui.widgets.checkpoint_list import CheckpointList
from tui.widgets.evidence_table import EvidenceTable
from tui.widgets.graph import Graph
from tui.widgets.key_bar import KeyBar, Keys
from tui.widgets.line_view import LineView
from tui.widgets.log_tail import LogTail
from tui.widgets.progress_view import ProgressView, noted
from tui.widgets.title_line import TitleLine
from tui.widgets.verdict_view import VerdictView

if TYPE_CHECKING:
    from monitor.status_model import RunStatus

GRAPHS = 4
SHOWN_CHECKPOINTS = 6
KEYS: Keys = (
    ("esc", "board"),
    ("q", "quit"),
    ("?", "help"),
    ("/", "search log"),
    ("n", "next"),
    ("j k", "scroll log"),
    ("G", "follow"),
)


class RunScreen(StateScreen):
    """Shows one run for as long as its folder is there; leaving it changes nothing."""

    CSS_PATH = "run.tcss"
    PROMPT_HINT = "search the end of the log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", show=False),
        Binding("j,down", "scroll(1)", show=False),
        Binding("k,up", "scroll(-1)", show=False),
        Binding("pagedown,ctrl+d", "page(1)", show=False),
        Binding("pageup,ctrl+u", "page(-1)", show=False),
        Binding("g,home", "jump(False)", show=False),
        Binding("G,end", "jump(True)", show=False),
        Binding("slash", "search", show=False),
        Binding("n", "next_match", show=False),
        Binding("s", "stop", show=False),
        Binding("d", "diagnose", show=False),
    ]

    def __init__(self, run: str) -> None:
        super().__init__()
        self.run = run
        self._layout_shown: RunLayout | None = None
        self._evidence_shown: object = None
        self._series = SeriesMaker()
        self.heading = TitleLine(id="title")
        self.verdict = VerdictView(id="verdict")
        self.progress = ProgressView(id="progress")
        self.evidence = EvidenceTable(id="evidence")
        self.checkpoints = CheckpointList(id="checkpoints")
        self.graphs = [Graph() for _ in range(GRAPHS)]
        self.log_tail = LogTail(id="log")
        self.keys = KeyBar(id="keys")
        self._middle = Horizontal(self.evidence, self.checkpoints, id="middle")
        self._graphs_row = Horizontal(*self.graphs, id="graphs")

    def compose(self) -> ComposeResult:
        yield self.heading
        yield self.verdict
        yield self.progress
        yield self._middle
        yield self._graphs_row
        yield self.log_tail
        yield self.keys

    def on_mount(self) -> None:
        self.heading.run, self.heading.read_only = self.run, self.lanewatch.read_only
        self.verdict.empty_text = "Reading the run."
        self._show_keys(None)

    def show_state(self, snapshot: Snapshot) -> None:
        status = snapshot.status_of(self.run)
        detail = snapshot.detail
        if detail is not None and detail.run != self.run:
            detail = None
        series = self._series.make(snapshot, status) if detail is not None else []
        notes = detail.projection if detail is not None else ()
        self._show_layout(status, len(series) or 2, notes)
        self._show_status(snapshot, status, notes)
        for number, graph in enumerate(self.graphs):
            graph.series = series[number] if number < len(series) else None
        self._show_log(detail, status)

    def search_changed(self, text: str) -> None:
        self.log_tail.pattern = text

    def on_resize(self, _event: events.Resize) -> None:
        self._layout_shown = None
        self.call_after_refresh(self._show_latest)

    def action_back(self) -> None:
        """Clear a search first; with none, go back to the board."""
        if self.prompting or self.log_tail.pattern:
            self.close_prompt()
            self.search_changed("")
            return
        self.lanewatch.close_run()

    def action_scroll(self, rows: int) -> None:
        self.log_tail.scroll_lines(rows)

    def action_page(self, pages: int) -> None:
        self.log_tail.scroll_lines(pages * max(1, self.log_tail.size.height - 2))

    def action_jump(self, to_end: bool) -> None:
        self.log_tail.jump(to_end=to_end)

    def action_next_match(self) -> None:
        if self.log_tail.pattern:
            self.log_tail.next_match()

    def action_stop(self) -> None:
        snapshot = self.lanewatch.snapshot
        status = snapshot.status_of(self.run) if snapshot else None
        if status is not None and not is_over(status):
            self.lanewatch.ask_to_stop(status)

    def action_diagnose(self) -> None:
        """Say why it hangs, on a screen of its own."""
        from tui.screens.diagnosis import DiagnosisScreen

        snapshot = self.lanewatch.snapshot
        if snapshot is not None and snapshot.root:
            self.app.push_screen(DiagnosisScreen(self.run, Path(snapshot.root)))

    def _show_status(
        self, snapshot: Snapshot, status: RunStatus | None, notes: tuple[str, ...]
    ) -> None:
        self.heading.status = status
        if snapshot.scanned:
            self.verdict.empty_text = "This run is not on the disk any more: its folder is gone."
        self.verdict.show(status, snapshot.taken_wall)
        self.progress.show(status, snapshot.taken_wall, notes)
        self._show_evidence(snapshot, status)
        self.evidence.problems = status.problems if status else ()
        self.checkpoints.over = status is not None and is_over(status)
        self.checkpoints.checkpoints = status.checkpoints if status else ()
        self._show_keys(status)

    def _show_evidence(self, snapshot: Snapshot, status: RunStatus | None) -> None:
        """At once when it supports something else; else its figures only every few seconds.

        CPU seconds and percentages move at every look, and each move is sent to the terminal.
        """
        evidence = status.evidence if status else ()
        supports = tuple((each.signal, each.supports) for each in evidence)
        shown = (snapshot.taken_wall, status.verdict if status else None, supports)
        if shown != self._evidence_shown:
            self._evidence_shown = shown
            self.evidence.evidence = evidence

    def _show_log(self, detail: RunDetail | None, status: RunStatus | None) -> None:
        name = detail.log_name if detail else None
        if detail is not None and detail.problem:
            self.log_tail.empty_text = detail.problem
        elif status is not None:
            self.log_tail.empty_text = "this stage has written nothing to its log"
        self.log_tail.show(
            f"log {name}" if name else "log",
            detail.log_lines if detail else (),
            detail.log_first if detail else 0,
        )

    def _show_keys(self, status: RunStatus | None) -> None:
        can_stop = self.lanewatch.may_stop(status)
        self.keys.keys = (*KEYS[:1], *STOP_KEY, *KEYS[1:]) if can_stop else KEYS

    def _show_layout(self, status: RunStatus | None, series: int, notes: tuple[str, ...]) -> None:
        # The screen pads by a column at each side.
        width, height = self.size.width - 2, self.size.height
        layout = plan(
            width,
            height,
            verdict_rows=self.verdict.rows_needed(status, width),
            evidence_rows=_middle_rows(status),
            series=series,
            note_rows=len(noted(notes, width)),
        )
        if layout == self._layout_shown:
            return
        self._layout_shown = layout
        self.set_class(not layout.wide, "-one-column")
        self.verdict.styles.height = layout.verdict
        self.progress.styles.height = layout.progress
        self.log_tail.display = layout.log > 0
        _set_rows(self._middle, [self.evidence, self.checkpoints], layout.evidence)
        _set_rows(self._graphs_row, self.graphs, layout.graphs)
        for number, graph in enumerate(self.graphs):
            graph.display = number < layout.graph_count
            graph.set_class(number == layout.graph_count - 1, "-last")


def _set_rows(row: Horizontal, parts: Sequence[LineView], rows: int) -> None:
    """Give a row of widgets its height; none hides it."""
    row.display = rows > 0
    for part in parts:
        part.styles.height = rows


def _middle_rows(status: RunStatus | None) -> int:
    """Rows for all evidence, and for the newest checkpoints beside it."""
    if status is None:
        return 2
    evidence = EvidenceTable.rows(status.evidence, status.problems)
    return max(evidence, min(SHOWN_CHECKPOINTS, len(status.checkpoints)) + 1)
