"""All runs at a glance: the machine above them, the selected run beside them or below."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.geometry import Size

from tui.run_order import ORDERS, Order
from tui.screens.base import StateScreen
from tui.screens.commands_here import Commands, without
from tui.widgets.key_bar import KeyBar, Keys
from tui.widgets.machine_strip import MachineStrip
from tui.widgets.run_card import RunCard
from tui.widgets.run_table import RunTable

if TYPE_CHECKING:
    from tui.state import Snapshot

OPEN_KEY: Keys = (("enter", "open"),)
KEYS: Keys = (
    ("t", "log"),
    ("?", "help"),
    ("v", "events"),
    ("c", "compare"),
    ("q", "quit"),
    ("/", "filter"),
)
MORE_KEYS: Keys = (
    ("space", "mark"),
    ("o", "sort"),
    ("l", "live only"),
    ("ctrl+p", "commands"),
    (",", "settings"),
    ("j k", "move"),
    ("g G", "top, end"),
)
OF_A_RUN = ("enter", "t", "c", "space")
LAUNCH_KEY: Keys = (("n", "launch"),)
ATTACH_KEY: Keys = (("a", "attach"),)
STOP_KEY: Keys = (("s", "stop"),)
RESUME_KEY: Keys = (("R", "resume"),)
EMPTY = (
    "No runs yet. n launches one from here, a watches a training that runs already. In another "
    "terminal: lanewatch demo (a real small fine-tune on this machine's CPU), lanewatch launch."
)
SHORT_ROWS = 16
LEAST_LISTED, LEAST_CARD, MOST_CARD = 4, 3, 16
"""Rows of the list that no card takes away, and of the card below it."""
WIDE_COLUMNS = 120


class BoardScreen(StateScreen):
    """The first screen. Quitting it leaves every run running."""

    HELP = "board"
    CSS_PATH = "board.tcss"
    PROMPT_HINT = "filter by run, name, lane or verdict"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open the selected run", show=False),
        Binding("s", "stop", "stop the selected run; asks first", show=False),
        Binding("R", "resume", "resume the selected run; asks first", show=False),
        Binding("n", "launch", "launch a run", show=False),
        Binding("a", "attach", "attach: watch a training that runs already", show=False),
        Binding("slash", "search", "filter the runs", show=False),
        Binding("o", "sort(1)", "sort: the next order", show=False),
        Binding("O", "sort(-1)", "sort: the order before", show=False),
        Binding("l", "live", "live runs only, or all", show=False),
        Binding("escape", "clear", "show all runs again", show=False),
        Binding("g,home", "jump(False)", "to the first run", show=False),
        Binding("G,end", "jump(True)", "to the last run", show=False),
        Binding("j,down", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        Binding("pagedown,ctrl+d", "page(1)", show=False),
        Binding("pageup,ctrl+u", "page(-1)", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.machine = MachineStrip(id="machine")
        self.table = RunTable(id="runs")
        self.reason = RunCard(id="reason")
        self.keys = KeyBar(id="keys")
        self._middle = Container(self.table, self.reason, id="middle")
        self._card_rows: int | None = None
        self._sizes = Size(), Size()

    def compose(self) -> ComposeResult:
        yield self.machine
        yield self._middle
        yield self.keys

    def on_mount(self) -> None:
        self.keys.keys = (*OPEN_KEY, *KEYS, *MORE_KEYS)
        self.reason.empty_text = "Reading the runs."
        self.reason.acts = not self.lanewatch.read_only
        self._suit(self.app.size)  # before the first layout, which is else done twice

    def on_resize(self, event: events.Resize) -> None:
        self._suit(event.size)
        if not self._flips(event.size):
            self.call_after_refresh(self._fit_card)

    def _suit(self, size: Size) -> None:
        self.set_class(size.height < SHORT_ROWS, "-short")
        self.set_class(size.width >= WIDE_COLUMNS, "-wide")

    def _flips(self, size: Size) -> bool:
        """True where every layout tells of one of two sizes, a row apart, in turn.

        So it is in a terminal that names no size (Textual 8.2): to lay out anew would never end.
        """
        before, last = self._sizes
        self._sizes = last, size
        return size == before and size.width == last.width and abs(size.height - last.height) == 1

    def show_state(self, snapshot: Snapshot) -> None:
        from tui.memory_bar import memory_forecast  # here: the first paint has no figures yet

        rows = 1 if self.has_class("-short") else MachineStrip.rows(snapshot.machine)
        if self.machine.size.height != rows:
            self.machine.styles.height = rows
        self.machine.limit_bytes = snapshot.memory_limit_bytes
        self.machine.level = snapshot.memory_level
        self.machine.forecast = memory_forecast(snapshot.runs)
        self.machine.machine = snapshot.machine
        if snapshot.scanned:
            nothing = "No run is live." if self.table.live_only else "No run matches the filter."
            self.reason.empty_text = EMPTY if not snapshot.runs else nothing
        self.table.show(snapshot.runs, snapshot.taken_wall)
        self._fit_card()
        self._show_selected(snapshot.taken_wall)

    def _fit_card(self) -> None:
        """Below a list that leaves room, the card is as tall as that room and tells more."""
        if self.has_class("-wide") or self.has_class("-short"):
            rows = None
        else:
            listed = max(LEAST_LISTED, len(self.table.visible_runs)) + LEAST_CARD
            rows = min(MOST_CARD, max(LEAST_CARD, self._middle.size.height - listed))
        if rows != self._card_rows:
            self._card_rows = rows
            self.reason.styles.height = rows

    def show_trouble(self, text: str) -> None:
        """Said whole while there is nothing else to show."""
        super().show_trouble(text)
        if text and self.lanewatch.snapshot is None:
            self.reason.empty_text = text
            self.reason.update_lines()

    def commands(self) -> Commands:
        """Stop and resume where the selected run can be, launch and attach where one may."""
        app, chosen = self.lanewatch, self.table.selected
        left_out = {"open", "jump"} if chosen is None else set()
        left_out |= {"stop"} if not app.may_stop(chosen) else set()
        left_out |= {"resume"} if not app.may_resume(chosen) else set()
        left_out |= {"launch", "attach"} if not app.can_launch else set()
        return without(super().commands(), *left_out)

    def search_changed(self, text: str) -> None:
        self.table.filter_text = text
        self._show_reason()

    def action_open(self) -> None:
        chosen = self.table.act_on()
        if chosen is not None:
            self.lanewatch.open_run(chosen.run)

    def action_stop(self) -> None:
        chosen = self.table.act_on()
        if chosen is not None:
            self.lanewatch.ask_to_stop(chosen)

    def action_resume(self) -> None:
        chosen = self.table.act_on()
        if chosen is not None:
            self.lanewatch.ask_to_resume(chosen)

    def action_launch(self) -> None:
        self.lanewatch.open_launch()

    def action_attach(self) -> None:
        self.lanewatch.open_attach()

    def action_sort(self, steps: int) -> None:
        """The next order; the heading shows which, where it has the column."""
        at = (ORDERS.index(self.table.order) + steps) % len(ORDERS)
        self._sort_by(ORDERS[at])

    def action_live(self) -> None:
        self.table.show_live_only(not self.table.live_only)
        self._show_reason()

    def action_clear(self) -> None:
        self.close_prompt()
        self.table.show_live_only(live_only=False)
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
        if event.y == 0:
            self._sort_by_column(self.table.column_at(event.x))
            return
        before = self.table.selected
        if self.table.select_row(event.y):
            self._show_reason()
            if before is self.table.selected and event.chain > 1:
                self.action_open()

    def on_mouse_scroll_down(self) -> None:
        self.action_move(3)

    def on_mouse_scroll_up(self) -> None:
        self.action_move(-3)

    def _sort_by_column(self, title: str | None) -> None:
        """A second click on the same heading puts the order back."""
        order = next((each for each in ORDERS if title and each.column == title), None)
        if order is not None:
            self._sort_by(ORDERS[0] if order is self.table.order else order)

    def _sort_by(self, order: Order) -> None:
        self.table.sort_by(order)
        self._show_reason()
        self.app.notify(f"Sorted: {order.name}.", timeout=2)

    def _show_reason(self) -> None:
        snapshot = self.lanewatch.snapshot
        self._show_selected(snapshot.taken_wall if snapshot else 0.0)

    def _show_selected(self, now_wall: float) -> None:
        chosen = self.table.selected
        self.reason.show(chosen, now_wall)
        stop = STOP_KEY if self.lanewatch.may_stop(chosen) else ()
        if self.lanewatch.may_resume(chosen):
            stop = RESUME_KEY
        launch, attach = (LAUNCH_KEY, ATTACH_KEY) if self.lanewatch.can_launch else ((), ())
        keys = (*OPEN_KEY, *stop, *launch, *KEYS, *attach, *MORE_KEYS)
        if chosen is None:
            keys = tuple(each for each in keys if each[0] not in OF_A_RUN)
        self.keys.keys = keys
