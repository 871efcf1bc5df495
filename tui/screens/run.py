"""One run: verdict, what to do and progress above; below them a tab each for the rest.

A tab is mounted when it is first opened, and only the one in front is given what is new.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from tui.actions import Action, offered, question, question_now, refusal
from tui.chart_view import ChartView
from tui.remedies import first_remedy, without_keys
from tui.screens.base import StateScreen
from tui.screens.commands_here import Commands, without
from tui.screens.run_layout import HeadLayout, Steadied, plan_head
from tui.screens.run_overview import OverviewTab
from tui.screens.run_tab import Look, RunTab
from tui.verdict_words import least_rows
from tui.widgets.key_bar import KeyBar, Keys
from tui.widgets.progress_view import ProgressView, noted
from tui.widgets.remedy_view import RemedyView
from tui.widgets.tab_bar import TabBar
from tui.widgets.title_line import TitleLine
from tui.widgets.verdict_view import VerdictView

if TYPE_CHECKING:
    from textual.geometry import Size
    from textual.widget import Widget

    from monitor.early_word import EarlyWord
    from monitor.status_model import RunStatus
    from tui.state import RunDetail, Snapshot

TABS = ("overview", "training", "machine", "checkpoints", "log", "events", "recipe")
LOG = TABS.index("log")
KEYS: Keys = (("esc", "board"), ("1-7", "tabs"))
ALWAYS_KEYS: Keys = (("d", "diagnose"), ("?", "help"))
OTHER_KEYS: Keys = (("t", "log"), ("q", "quit"))
LAST_KEYS: Keys = (("V", "events"), ("c", "compare"), ("ctrl+p", "commands"))
CHART_KEYS: Keys = (("tab", "graph"), ("+ -", "zoom"), ("y", "log scale"), ("m", "smooth"))
LOG_KEYS: Keys = (("/", "search"), ("n N", "next"), ("j k", "scroll"), ("G", "follow"))
LIST_KEYS: Keys = (("j k", "scroll"), ("g G", "top, end"))
SCROLL_KEYS: dict[str, Keys] = {"": (), "list": LIST_KEYS, "log": LOG_KEYS}
GRAPH_ACTIONS = {"choose", "zoom", "pan", "whole", "smooth", "log_scale"}
WHEEL_ROWS = 3


class RunScreen(StateScreen):
    """Shows one run for as long as its folder is there; leaving it changes nothing."""

    HELP = "run"
    CSS_PATH = "run.tcss"
    PROMPT_HINT = "search the end of the log (a regular expression; t: the whole log)"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(at), f"tab({at - 1})", f"tab: {name}", show=False)
            for at, name in enumerate(TABS, 1)
        ),
        Binding("d", "diagnose", "diagnose: why it hangs, and what to do", show=False),
        Binding("s", "stop", "stop the run; asks first", show=False),
        Binding("K", "ask('kill')", "kill the run; asks first", show=False),
        Binding("R", "ask('resume')", "resume the run; asks first", show=False),
        Binding(
            "e",
            "ask('export')",
            "merge and export its last whole checkpoint; asks first",
            show=False,
        ),
        Binding("w", "ask('watch')", "bring back its keeper and watcher; asks first", show=False),
        Binding("a", "ask('ack')", "acknowledge its alerts; asks first", show=False),
        Binding("slash", "search", "search the end of the log", show=False),
        Binding("n", "next_match(False)", "the next match, upwards", show=False),
        Binding("N", "next_match(True)", "the match before, downwards", show=False),
        Binding("tab", "choose(1)", "graphs: choose the next one", show=False),
        Binding("shift+tab", "choose(-1)", "graphs: choose the one before", show=False),
        Binding("plus,equals_sign", "zoom(1)", "graphs: zoom in", show=False),
        Binding("minus", "zoom(-1)", "graphs: zoom out", show=False),
        Binding("left", "pan(1)", "graphs: earlier", show=False),
        Binding("right", "pan(-1)", "graphs: later", show=False),
        Binding("0", "whole", "graphs: the whole run", show=False),
        Binding("m", "smooth", "graphs: smoothing", show=False),
        Binding("y", "log_scale", "graphs: log scale of the chosen one", show=False),
        Binding("g,home", "jump(False)", "to the top of what scrolls", show=False),
        Binding("G,end", "jump(True)", "to its end", show=False),
        Binding("right_square_bracket", "next_tab(1)", "the next tab", show=False),
        Binding("left_square_bracket", "next_tab(-1)", "the tab before", show=False),
        Binding("escape", "back", "clear a search, then the board", show=False),
        Binding("j,down", "scroll(1)", show=False),
        Binding("k,up", "scroll(-1)", show=False),
        Binding("pagedown,ctrl+d", "page(1)", show=False),
        Binding("pageup,ctrl+u", "page(-1)", show=False),
    ]

    def __init__(self, run: str, early: EarlyWord | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.run = run
        self.view = ChartView()
        self.heading = TitleLine(id="title")
        self.verdict = VerdictView(id="verdict")
        self.verdict.early = early
        self.remedy = RemedyView(id="remedy")
        self.progress = ProgressView(id="progress")
        self.tabs = TabBar(TABS, id="tabs")
        self.keys = KeyBar(id="keys")
        self._opened: dict[int, RunTab] = {0: OverviewTab()}
        self._body = Container(self._opened[0], id="body")
        self._head: HeadLayout | None = None
        self._suits: Size | None = None
        """Of the terminal for which the rows were shared out."""
        self._verdict_rows, self._remedy_rows = Steadied(), Steadied()
        self._searched = ""

    def compose(self) -> ComposeResult:
        yield self.heading
        yield self.verdict
        yield self.remedy
        yield self.progress
        yield self.tabs
        yield self._body
        yield self.keys

    @property
    def tab(self) -> RunTab:
        """The tab in front."""
        return self._opened[self.tabs.active]

    @property
    def status(self) -> RunStatus | None:
        """The newest status of this run."""
        snapshot = self.lanewatch.snapshot
        return snapshot.status_of(self.run) if snapshot else None

    def on_mount(self) -> None:
        self.heading.run, self.heading.read_only = self.run, self.lanewatch.read_only
        self.verdict.keys = self.lanewatch.can_act
        self.verdict.empty_text = "Reading the run."
        self.verdict.styles.height = least_rows(self.app.size.height)
        self._show_keys(None)

    def on_screen_resume(self) -> None:
        # Another run may have been opened on top of this one, and its details are read since.
        self.lanewatch.read_details(self.run)

    def show_state(self, snapshot: Snapshot) -> None:
        status, detail = snapshot.status_of(self.run), snapshot.detail
        if detail is not None and detail.run != self.run:
            detail = None
        notes = detail.projection if detail is not None else ()
        advice = detail.remedy if detail is not None else None
        remedy = (first_remedy(status, advice) if status is not None else None) or ""
        if not self.lanewatch.can_act:
            remedy = without_keys(remedy)
        body = self._arrange(status, notes, remedy, snapshot.taken_wall)
        self._show_status(snapshot, status, notes, remedy)
        self._show_tab(snapshot, status, detail, body)

    def search_changed(self, text: str) -> None:
        self._searched = text
        for tab in self._opened.values():
            if tab.log_tail is not None:
                tab.log_tail.pattern = text

    def on_resize(self, event: events.Resize) -> None:
        # A terminal that names no size is resized by every layout, to and fro (Textual 8.2): to
        # look anew each time would never end.
        if event.size != self.app.size or event.size == self._suits:
            return
        self._suits = event.size
        self._head = None
        self._verdict_rows.forget()
        self._remedy_rows.forget()
        self.call_after_refresh(self._show_latest)

    def on_click(self, event: events.Click) -> None:
        """The mouse opens a tab, or chooses a graph; twice on a graph shows the whole run again."""
        if event.widget is self.tabs and (index := self.tabs.at(event.x)) is not None:
            self.action_tab(index)
        elif _is_graph(event.widget) and event.chain > 1:
            self.action_whole()
        else:
            self.tab.choose_graph(event.widget)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._turn_wheel(event, 1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._turn_wheel(event, -1)

    def _turn_wheel(self, event: events.MouseEvent, way: int) -> None:
        """Over a graph the wheel zooms, elsewhere it scrolls."""
        if _is_graph(event.widget):
            self.action_zoom(-way)
        else:
            self.action_scroll(way * WHEEL_ROWS)

    def action_back(self) -> None:
        """Clear a search first; with none, go back to the board."""
        tail = self.tab.log_tail
        if self.prompting or (tail is not None and tail.pattern):
            self.close_prompt()
            self.search_changed("")
            return
        self.lanewatch.close_run()

    def action_tab(self, index: int) -> None:
        """Open a tab by its number."""
        if index == self.tabs.active:
            return
        self.tab.display = False
        self.tabs.active = index
        if index not in self._opened:
            from tui.screens.run_pages import PAGES

            self._opened[index] = PAGES[TABS[index]]()
            self._body.mount(self.tab)
            self.search_changed(self._searched)
        self.tab.display = True
        self.tab.reopen()
        self._head = None
        self.call_after_refresh(self._show_latest)
        self._show_latest()

    def action_next_tab(self, steps: int) -> None:
        self.action_tab((self.tabs.active + steps) % len(TABS))

    def action_choose(self, steps: int) -> None:
        self.tab.choose(steps)

    def action_zoom(self, steps: int) -> None:
        self._look_at(self.view.zoomed(steps))

    def action_pan(self, steps: int) -> None:
        self._look_at(self.view.panned(steps))

    def action_whole(self) -> None:
        self._look_at(ChartView(smoothing=self.view.smoothing, logs=self.view.logs))

    def action_log_scale(self) -> None:
        title = self.tab.chosen_title
        if title is not None:
            self._look_at(self.view.toggled_log(title))

    def action_smooth(self) -> None:
        self._look_at(self.view.smoother())

    def action_scroll(self, rows: int) -> None:
        if self.tab.scroller is not None:
            self.tab.scroller.scroll_lines(rows)

    def action_page(self, pages: int) -> None:
        if self.tab.scroller is not None:
            self.tab.scroller.scroll_pages(pages)

    def action_jump(self, to_end: bool) -> None:
        if self.tab.scroller is not None:
            self.tab.scroller.jump(to_end=to_end)

    def action_search(self) -> None:
        """Search the log, on the tab that shows it."""
        if self.tab.log_tail is None or not self.tab.log_tail.display:
            self.action_tab(LOG)
        super().action_search()

    def action_next_match(self, newer: bool) -> None:
        tail = self.tab.log_tail
        if tail is not None and tail.pattern:
            tail.next_match(newer=newer)

    def action_stop(self) -> None:
        if self.status is None:
            self.lanewatch.say(self.verdict.empty_text)  # it is being read, or gone
        else:
            self.lanewatch.ask_to_stop(self.status)

    def action_diagnose(self) -> None:
        """Say why it hangs, on a screen of its own."""
        from tui.screens.diagnosis import DiagnosisScreen

        snapshot = self.lanewatch.snapshot
        if snapshot is not None and snapshot.root:
            self.app.push_screen(DiagnosisScreen(self.run, Path(snapshot.root)))

    def action_ask(self, name: str) -> None:
        """Ask whether to do what the key stands for, where it makes sense now."""
        from tui.screens.confirm_action import ConfirmActionScreen

        status, action = self.status, Action(name)
        if status is None:
            self.lanewatch.say(self.verdict.empty_text)
            return
        if action not in [each for _, each in self._offered(status)]:
            self.lanewatch.say(refusal(action, status, read_only=not self.lanewatch.can_act))
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.lanewatch.carry_out(self.run, action)

        again = partial(question_now, action, status.run)
        self.app.push_screen(ConfirmActionScreen(question(action, status), again), answered)

    def commands(self) -> Commands:
        """What would change the run only where that is offered now, and what the tab can do."""
        may = {action for _, action in self._offered(self.status)}
        asks = {f"ask('{each.value}')": each for each in Action} | {"stop": Action.STOP}
        idle = {words for words, action in asks.items() if action not in may}
        idle |= set() if self.tab.charts else GRAPH_ACTIONS
        idle |= set() if self.tab.scroller is not None else {"jump"}
        tail = self.tab.log_tail
        idle |= set() if tail is not None and tail.pattern else {"next_match"}
        return without(super().commands(), *idle, f"tab({self.tabs.active})")

    def _offered(self, status: RunStatus | None) -> list[tuple[str, Action]]:
        """What may be done from here; nothing in a view that is read-only."""
        app = self.lanewatch
        return [
            (key, action)
            for key, action in offered(status)
            if (app.may_stop(status) if action is Action.STOP else app.can_act)
        ]

    def _look_at(self, view: ChartView) -> None:
        if self.tab.charts and view != self.view:
            self.view = view
            self._show_latest()

    def _arrange(
        self, status: RunStatus | None, notes: tuple[str, ...], remedy: str, now_wall: float
    ) -> int:
        """Give the head its rows; returns those that are left for the tab."""
        width, height = self.size
        verdict_rows = self.verdict.rows_needed(status, width)
        remedy_rows = RemedyView.rows_needed(remedy, width)
        head = plan_head(
            height,
            verdict_rows=self._verdict_rows.rows(verdict_rows, now_wall),
            remedy_rows=self._remedy_rows.rows(remedy_rows, now_wall),
            note_rows=len(noted(notes, width)),
            overview=self.tabs.active == 0,
        )
        if head != self._head:
            self._head = head
            self.verdict.styles.height = head.verdict
            self.remedy.styles.height = head.remedy
            self.remedy.display = head.remedy > 0
            self.progress.styles.height = head.progress
            self.tabs.display = head.tabs > 0
        return head.body

    def _show_status(
        self, snapshot: Snapshot, status: RunStatus | None, notes: tuple[str, ...], remedy: str
    ) -> None:
        self.heading.status = status
        # Of one that was just begun, what was taken before it was opened says nothing.
        if snapshot.scanned and snapshot.detail is not None and snapshot.detail.run == self.run:
            self.verdict.early = None
            self.verdict.empty_text = "This run is not on the disk any more: its folder is gone."
        self.verdict.show(status, snapshot.taken_wall)
        self.remedy.remedy = remedy
        self.progress.show(status, snapshot.taken_wall, notes)
        self._show_keys(status)

    def _show_tab(
        self, snapshot: Snapshot, status: RunStatus | None, detail: RunDetail | None, body: int
    ) -> None:
        look = Look(
            snapshot=snapshot,
            status=status,
            detail=detail,
            view=self.view,
            width=self.size.width,
            rows=body,
        )
        self.tab.show(look)

    def _show_keys(self, status: RunStatus | None) -> None:
        actions = tuple((key, action.value) for key, action in self._offered(status))
        there = SCROLL_KEYS[self.tab.scrolls]
        there = (*CHART_KEYS[self.tabs.active == 0 :], *there) if self.tab.charts else there
        # In 50 columns the first of what may be done, or why it hangs, and where all others are.
        first, more = (*actions[:1], *ALWAYS_KEYS), (*actions[1:], *OTHER_KEYS)
        self.keys.keys = (*KEYS, *first, *more, *there, *LAST_KEYS)


def _is_graph(widget: Widget | None) -> bool:
    from tui.widgets.graph import Graph  # here: the first frame has none

    return isinstance(widget, Graph)
