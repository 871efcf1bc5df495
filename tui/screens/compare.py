"""Two or more runs beside each other: is that fair, their curves, and a table of deltas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message

from runners.compare.table import Comparison, compare
from tui.aside import aside
from tui.clipboard import copy
from tui.compare_text import MOST_RUNS, markdown_lines
from tui.screens.base import StateScreen
from tui.state import Snapshot, is_over
from tui.widgets.compare_view import PICTURES, CompareTable, CompareVerdict, Overlay
from tui.widgets.key_bar import KeyBar, Keys

KEYS: Keys = (
    ("esc", "back"),
    ("x", "by time"),
    ("1 2 3", "graph"),
    ("j k", "scroll"),
    ("b", "other base"),
    ("c", "copy as Markdown"),
    ("?", "help"),
    ("left right", "columns"),
    ("q", "quit"),
)
AGAIN_S = 15.0
"""A comparison with a live run in it is made anew so often."""

GRAPH_COLUMNS = 40
SHORT_ROWS = 18


@dataclass
class Compared(Message):
    """What was read of *runs*, or why nothing could be."""

    runs: list[str]
    comparison: Comparison | None
    problem: str = ""


class CompareScreen(StateScreen):
    """Compares runs (full ids); the first one is what the others are held against."""

    HELP = "compare"
    CSS_PATH = "compare.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "axis", "curves by iteration, or by time", show=False),
        *(
            Binding(str(at), f"picture({at - 1})", f"graph: {each.title} first", show=False)
            for at, each in enumerate(PICTURES, 1)
        ),
        Binding("tab", "next_picture", "the next graph", show=False),
        Binding("b", "base", "hold the others against the next run", show=False),
        Binding("c,y", "copy", "copy the comparison as Markdown", show=False),
        Binding("g,home", "scroll(-9999)", "to the top of the table", show=False),
        Binding("G,end", "scroll(9999)", "to its end", show=False),
        Binding("right", "columns(1)", "further to the right in the table", show=False),
        Binding("left", "columns(-1)", "back to the left", show=False),
        Binding("escape", "back", "leave the comparison", show=False),
        Binding("j,down", "scroll(1)", show=False),
        Binding("k,up", "scroll(-1)", show=False),
        Binding("pagedown,space,ctrl+d", "page(1)", show=False),
        Binding("pageup,ctrl+u", "page(-1)", show=False),
    ]

    def __init__(self, runs: Sequence[str]) -> None:
        super().__init__()
        self.runs = list(runs)[:MOST_RUNS]
        self.left_out = len(runs) - len(self.runs)
        self.comparison: Comparison | None = None
        self._reading: list[str] | None = None
        self.verdict = CompareVerdict(id="verdict")
        self.pictures = [Overlay() for _ in PICTURES]
        self.table = CompareTable(id="table")
        self.keys = KeyBar(id="keys")

    def compose(self) -> ComposeResult:
        yield self.verdict
        with Horizontal(id="pictures"):
            yield from self.pictures
        yield self.table
        yield self.keys

    def on_mount(self) -> None:
        self.keys.keys = KEYS
        self.verdict.note = "Reading the runs."
        for number, each in enumerate(self.pictures):
            each.picture = number
        if self.left_out:
            beyond = f"{self.left_out} more {'is' if self.left_out == 1 else 'are'} marked"
            say = f"A screen holds {MOST_RUNS} runs, {beyond}: lanewatch compare takes them all."
            self.app.notify(say, markup=False)
        self._read()
        self.set_interval(AGAIN_S, self._read_again)

    def on_resize(self, event: events.Resize) -> None:
        shown = max(1, min(len(PICTURES), (event.size.width - 2) // GRAPH_COLUMNS))
        for number, each in enumerate(self.pictures):
            each.display = number < shown
        self.set_class(event.size.height < SHORT_ROWS, "-short")
        self.call_after_refresh(self._fit)

    def show_state(self, snapshot: Snapshot) -> None:
        """What is compared is read by itself, not taken from the state."""

    @on(Compared)
    def _show(self, message: Compared) -> None:
        if message.runs != self.runs:
            return  # another base was chosen meanwhile
        self._reading = None
        self.verdict.note = message.problem
        self.call_after_refresh(self._fit)
        if message.comparison is None:
            return
        self.comparison = message.comparison
        self.verdict.comparison = message.comparison
        self.table.comparison = message.comparison
        for each in self.pictures:
            each.comparison = message.comparison

    def action_back(self) -> None:
        self.app.pop_screen()

    def action_axis(self) -> None:
        for each in self.pictures:
            each.by_wall = not each.by_wall
        label = "by iteration" if self.pictures[0].by_wall else "by time"
        self.keys.keys = (*KEYS[:1], ("x", label), *KEYS[2:])

    def action_picture(self, number: int) -> None:
        """Show this graph first, and the next ones where there is room."""
        for at, each in enumerate(self.pictures):
            each.picture = (number + at) % len(PICTURES)

    def action_next_picture(self) -> None:
        self.action_picture(self.pictures[0].picture + 1)

    def action_base(self) -> None:
        """Hold the others against the next run."""
        self.runs = [*self.runs[1:], self.runs[0]]
        self._read()

    def action_copy(self) -> None:
        if self.comparison is not None:
            text = "\n".join(markdown_lines(self.comparison))
            self.notify(copy(self.app, text, "the comparison as Markdown"), markup=False)

    def action_scroll(self, rows: int) -> None:
        self.table.scroll_lines(rows)

    def action_page(self, pages: int) -> None:
        self.table.scroll_pages(pages)

    def action_columns(self, columns: int) -> None:
        self.table.scroll_columns(columns)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_scroll(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_scroll(-3)

    def on_click(self, event: events.Click) -> None:
        """A click on a graph shows the next one, on the verdict the other axis."""
        if isinstance(event.widget, Overlay):
            self.action_next_picture()
        elif event.widget is self.verdict:
            self.action_axis()

    def _fit(self) -> None:
        most = 3 if self.has_class("-short") else 5
        self.verdict.styles.height = min(most, self.verdict.rows_needed(self.size.width - 2))

    def _read_again(self) -> None:
        if self._reading is not None:
            return  # the disk may be slow, or not answer at all
        snapshot = self.lanewatch.snapshot
        known = [snapshot.status_of(run) if snapshot else None for run in self.runs]
        if any(status is not None and not is_over(status) for status in known):
            self._read()

    @work(exclusive=True, group="compare", exit_on_error=False)
    async def _read(self) -> None:
        runs = self._reading = list(self.runs)
        await aside(lambda: self._really_read(runs))

    def _really_read(self, runs: list[str]) -> None:
        from monitor.rundir import RunDir
        from runners.compare.read import read_facts

        root = self.lanewatch.root
        gone = next((run for run in runs if not (root / run).is_dir()), None)
        if gone is not None:
            self.post_message(
                Compared(runs, None, f"The folder of run {gone} is gone: esc goes back.")
            )
            return
        try:
            found = compare([read_facts(RunDir(root / run)) for run in runs])
        except Exception as error:  # noqa: BLE001 - whatever it was, the person must read it
            self.post_message(Compared(runs, None, f"The runs could not be compared: {error}"))
            return
        self.post_message(Compared(runs, found))
