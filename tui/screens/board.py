"""All runs at a glance: the machine above them, the selected run's verdict below."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.screens.base import StateScreen
from tui.state import Snapshot, is_over
from tui.widgets.key_bar import KeyBar, Keys
from tui.widgets.machine_strip import MachineStrip
from tui.widgets.run_table import RunTable
from tui.widgets.verdict_view import VerdictView

KEYS: Keys = (
    ("enter", "open"),
    ("q", "quit"),
    ("?", "help"),
    ("/", "filter"),
    ("j k", "move"),
    ("g G", "top, end"),
)
STOP_KEY: Keys = (("s", "stop"),)
EMPTY = (
    "No runs yet. Start one in another terminal: lanewatch demo (a real small fine-tune on this "
    "machine's CPU), or lanewatch launch RECIPE.toml --lane LANE --engine ENGINE."
)
SHORT_ROWS = 16


class BoardScreen(StateScreen):
    """The first screen. Quitting it leaves every run running."""

    PROMPT_HINT = "filter by run, name, lane or verdict"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", show=False),
        Binding("escape", "clear", show=False),
        Binding("j,down", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        Binding("pagedown,ctrl+d", "page(1)", show=False),
        Binding("pageup,ctrl+u", "page(-1)", show=False),
        Binding("g,home", "jump(False)", show=False),
        Binding("G,end", "jump(True)", show=False),
        Binding("slash", "search", show=False),
        Binding("n", "launch", show=False),
        Binding("s", "stop", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.machine = MachineStrip(id="machine")
        self.table = RunTable(id="runs")
        self.reason = VerdictView(id="reason")
        self.keys = KeyBar(id="keys")

    def compose(self) -> ComposeResult:
        yield self.machine
        yield self.table
        yield self.reason
        yield self.keys

    def on_mount(self) -> None:
        self.keys.keys = KEYS
        self.reason.empty_text = "Reading the runs."

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.height < SHORT_ROWS, "-short")

    def show_state(self, snapshot: Snapshot) -> None:
        rows = 1 if self.has_class("-short") else MachineStrip.rows(snapshot.machine)
        if self.machine.size.height != rows:
            self.machine.styles.height = rows
        self.machine.limit_bytes = snapshot.memory_limit_bytes
        self.machine.level = snapshot.memory_level
        self.machine.machine = snapshot.machine
        if snapshot.scanned:
            self.reason.empty_text = EMPTY if not snapshot.runs else "No run matches the filter."
        self.table.show(snapshot.runs, snapshot.taken_wall)
        self._show_selected(snapshot.taken_wall)

    def search_changed(self, text: str) -> None:
        self.table.filter_text = text
        self._show_reason()

    def action_open(self) -> None:
        chosen = self.table.selected
        if chosen is not None:
            self.lanewatch.open_run(chosen.run)

    def action_stop(self) -> None:
        chosen = self.table.selected
        if chosen is not None and not is_over(chosen):
            self.lanewatch.ask_to_stop(chosen)

    def action_launch(self) -> None:
        self.lanewatch.open_launch()

    def action_clear(self) -> None:
        self.close_prompt()
        self.search_changed("")

    def action_move(self, rows: int) -> None:
        self.table.move(rows)
        self._show_reason()

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.table.size.height - 2))

    def action_jump(self, to_end: bool) -> None:
        self.table.jump(to_end=to_end)
        self._show_reason()

    def on_click(self, event: events.Click) -> None:
        """The mouse selects a run; a second click on it opens it."""
        if event.widget is not self.table:
            return
        before = self.table.selected
        if self.table.select_row(event.y):
            self._show_reason()
            if before is self.table.selected and event.chain > 1:
                self.action_open()

    def _show_reason(self) -> None:
        snapshot = self.lanewatch.snapshot
        self._show_selected(snapshot.taken_wall if snapshot else 0.0)

    def _show_selected(self, now_wall: float) -> None:
        chosen = self.table.selected
        self.reason.show(chosen, now_wall)
        can_stop = self.lanewatch.may_stop(chosen)
        self.keys.keys = (*KEYS[:1], *STOP_KEY, *KEYS[1:]) if can_stop else KEYS
