"""A run's log, of any size: followed, scrolled, searched, filtered, copied and saved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from tui.clipboard import copy
from tui.log_pager import LogPage
from tui.log_text import complaint
from tui.log_worker import Call, LogWorker
from tui.screens.base import StateScreen
from tui.screens.commands_here import Commands, without
from tui.state import Snapshot
from tui.widgets.key_bar import KeyBar, Keys
from tui.widgets.log_view import LogStatus, LogTitle, LogView
from tui.widgets.typed_line import TypedLine

KEYS: Keys = (
    ("esc", "back"),
    ("F", "follow"),
    ("/ ?", "search"),
    ("n N", "next"),
    ("&", "only lines"),
    ("w", "wrap"),
    ("h", "help"),
    ("[ ]", "other log"),
    ("c", "copy"),
    ("s", "save"),
    ("q", "quit"),
)
PROMPTS = {
    "/": "search down (a regular expression)",
    "?": "search up (a regular expression)",
    "&": "show only lines with (empty: all)",
    "s": "save what is shown to a new file",
}
WHEEL_ROWS = 3
COPIED_LINES = 500
COPIED_CHARS = 64 * 1024
"""More than that some terminals do not take through OSC 52."""


@dataclass
class LogShown(Message):
    """The worker's newest page; it replaces one that has not been drawn yet."""

    page: LogPage

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, LogShown)


@dataclass
class LogCopied(Message):
    """Lines that were read to be copied, and whether more were chosen."""

    lines: tuple[str, ...]
    more: bool = False


class LogScreen(StateScreen):
    """Shows the log of one run; *stage* names which, *at_wall* the moment to begin at."""

    HELP = "log"
    CSS_PATH = "log.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("F,f", "follow", "follow, or hold still", show=False),
        Binding("slash", "ask('/')", "search down", show=False),
        Binding("question_mark", "ask('?')", "search up", show=False),
        Binding("n", "again(True)", "the next match", show=False),
        Binding("N", "again(False)", "the match before", show=False),
        Binding("ampersand", "ask('&')", "show only the lines that match", show=False),
        Binding("w", "wrap", "wrap long lines, or not", show=False),
        Binding("left_square_bracket", "switch(-1)", "the run's log before this one", show=False),
        Binding("right_square_bracket", "switch(1)", "the run's next log", show=False),
        Binding("c,y", "copy", "copy the chosen lines, or those on the screen", show=False),
        Binding("s", "ask('s')", "save what is shown to a new file", show=False),
        Binding("g,home,less_than_sign", "jump(False)", "to the top", show=False),
        Binding("G,end,greater_than_sign", "jump(True)", "to the end, and follow", show=False),
        Binding("right", "shift(1)", "further to the right in long lines", show=False),
        Binding("left", "shift(-1)", "back to the left", show=False),
        Binding("h", "app.help", "help: all keys and what each verdict means", show=False),
        Binding("escape", "back", "take back search, filter and choice, then leave", show=False),
        Binding("j,down,enter", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        Binding("pagedown,space,ctrl+f", "page(1)", show=False),
        Binding("pageup,b,ctrl+b", "page(-1)", show=False),
        Binding("d,ctrl+d", "page(0.5)", show=False),
        Binding("u,ctrl+u", "page(-0.5)", show=False),
    ]

    def __init__(self, run: str, *, stage: str | None = None, at_wall: float | None = None) -> None:
        super().__init__()
        self.run = run
        self._stage, self._at_wall = stage, at_wall
        self._worker: LogWorker | None = None
        self._asking = ""
        self.page = LogPage()
        self.heading = LogTitle(id="title")
        self.view = LogView(id="log")
        self.state_line = LogStatus(id="status")
        self.keys = KeyBar(id="keys")

    def compose(self) -> ComposeResult:
        yield self.heading
        yield self.view
        yield self.state_line
        yield self.keys

    def on_mount(self) -> None:
        self.keys.keys = KEYS
        self.call_after_refresh(self._fit)

    def on_unmount(self) -> None:
        if self._worker is not None:
            self._worker.stop()

    def on_resize(self, _event: events.Resize) -> None:
        self.call_after_refresh(self._fit)

    def show_state(self, snapshot: Snapshot) -> None:
        status = snapshot.status_of(self.run)
        stuck = status is not None and status.verdict == "log-stuck"
        name = status.name if status is not None and status.name else self.run
        self.heading.show(name, self.page, snapshot.taken_wall, stuck=stuck)

    def commands(self) -> Commands:
        """The next match only where something is searched."""
        searched = self.page.pattern or self.page.searching
        return without(super().commands(), *(() if searched else ("again",)))

    @on(LogShown)
    def _show_page(self, message: LogShown) -> None:
        before, self.page = self.page, message.page
        if message.page.path != before.path or message.page.size < before.size:
            self.view.marked = None  # what was chosen are places in what was there before
        self.view.page = message.page
        self.state_line.page = message.page
        self._show_latest()

    @on(LogView.Selected)
    def _hold(self) -> None:
        self._do(lambda worker: worker.pager.hold())

    @on(LogCopied)
    def _copy(self, message: LogCopied) -> None:
        text = "\n".join(message.lines)
        many = "1 line" if len(message.lines) == 1 else f"{len(message.lines)} lines"
        if message.more:
            many = f"the first {many} of more (s saves all)"
        cut = " (the first 64 KiB)" if len(text) > COPIED_CHARS else ""
        self.notify(copy(self.app, text[:COPIED_CHARS], f"{many}{cut}"), markup=False)

    def action_back(self) -> None:
        """Take back the last thing first: prompt, choice, saving, search, filter; then leave.

        What is taken back is gone at once, so that a second key does not wait for the next page.
        """
        if self.prompting:
            self.close_prompt()
        elif self.view.marked is not None:
            self.view.marked = None
        elif self.page.saving:
            self._do(lambda worker: worker.finder.stop_saving(worker.pager))
            self.page = replace(self.page, saving="")
        elif self.page.pattern or self.page.searching:
            self._do(lambda worker: worker.finder.search(worker.pager, "", forwards=True))
            self.page = replace(self.page, pattern="", searching="")
        elif self.page.only:
            self._do(lambda worker: worker.finder.filter(worker.pager, ""))
            self.page = replace(self.page, only="")
        else:
            self.app.pop_screen()

    def action_move(self, rows: int) -> None:
        self._do(lambda worker: worker.pager.move(rows))

    def action_page(self, pages: float) -> None:
        rows = max(1, int(abs(pages) * (self.view.size.height - 1)))
        self.action_move(rows if pages > 0 else -rows)

    def action_jump(self, to_end: bool) -> None:
        self._do(lambda worker: worker.pager.to_end() if to_end else worker.pager.to_start())

    def action_shift(self, way: int) -> None:
        columns = way * max(1, self.view.size.width // 2)
        self._do(lambda worker: worker.pager.shift(columns))

    def action_follow(self) -> None:
        follow = self.page.follow
        self._do(lambda worker: worker.pager.hold() if follow else worker.pager.to_end())

    def action_wrap(self) -> None:
        wrap = not self.page.wrap
        self._do(lambda worker: worker.pager.set_wrap(wrap))

    def action_again(self, same_way: bool) -> None:
        self._do(lambda worker: worker.finder.again(worker.pager, same_way=same_way))

    def action_switch(self, by: int) -> None:
        self.view.marked = None
        if self._worker is not None:
            self._worker.switch(by)

    def action_ask(self, what: str) -> None:
        """Open the prompt for a search, a filter or a file's name."""
        if self.prompting:
            return
        self._asking = what
        self.PROMPT_HINT = PROMPTS[what]  # type: ignore[misc]
        self.action_search()
        prompt = self.query_one("#prompt", Input)
        if what == "s":
            prompt.value = str(Path("~") / f"{self.run}-{Path(self.page.path).name}")
            prompt.cursor_position = len(prompt.value)

    def close_prompt(self) -> None:
        self.state_line.complaint = ""
        super().close_prompt()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        event.prevent_default()
        wrong = None if self._asking == "s" else complaint(event.value)
        if wrong is None:
            self.state_line.complaint = ""

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        event.prevent_default()
        value, asking = event.value, self._asking
        wrong = None if asking == "s" else complaint(value)
        if wrong is not None:
            self.state_line.complaint = wrong
            self.query_one("#prompt", TypedLine).go_on()
            return
        self.close_prompt()
        if asking == "s":
            if value.strip():
                self._do(lambda worker: worker.finder.save(worker.pager, value.strip()))
        elif asking == "&":
            self._do(lambda worker: worker.finder.filter(worker.pager, value))
        elif value:
            down = asking == "/"
            self._do(lambda worker: worker.finder.search(worker.pager, value, forwards=down))
        else:
            self.action_again(True)

    def action_copy(self) -> None:
        """Copy the chosen lines, or those on the screen."""
        rows = self.page.rows
        if not rows:
            return
        first, last = self.view.marked or (rows[0].line, rows[-1].line)

        def copied(worker: LogWorker) -> None:
            lines = worker.pager.lines.after(first, COPIED_LINES + 1)
            chosen = [each.text for each in lines if each.start <= last]
            more = len(chosen) > COPIED_LINES
            self.post_message(LogCopied(tuple(chosen[:COPIED_LINES]), more))

        if self._worker is not None:
            self._worker.do(copied)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_move(WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_move(-WHEEL_ROWS)

    def on_click(self, event: events.Click) -> None:
        """A click chooses a line, with shift as far as there; on the state: follow or hold."""
        if event.widget is self.state_line:
            self.action_follow()
        line = self.view.line_on(event.y) if event.widget is self.view else None
        if line is None:
            return
        chosen = self.view.marked
        if event.shift and chosen is not None:
            self.view.marked = (min(chosen[0], line), max(chosen[1], line))
        else:
            self.view.marked = None if chosen == (line, line) else (line, line)

    def _do(self, call: Call) -> None:
        """Have *call* carried out by the worker; what was said before is no news any more."""
        if self._worker is not None:
            self._worker.act(call)

    def _fit(self) -> None:
        width, height = self.view.size
        if not width or not height:
            return
        if self._worker is None:
            self._begin(width, height)
        else:
            self._worker.do(lambda worker: worker.pager.resize(width, height))

    def _begin(self, width: int, height: int) -> None:
        self._worker = LogWorker(
            self.lanewatch.root / self.run,
            lambda page: self.post_message(LogShown(page)),
            stage=self._stage,
            at_wall=self._at_wall,
        )
        self._worker.pager.resize(width, height)
        self._worker.start()
