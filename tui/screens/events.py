"""What happened while you were away: events of all runs or of one, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from tui.aside import aside
from tui.event_feed import SEVERITIES, EventFeed, Happening
from tui.screens.base import SecondClick, StateScreen
from tui.screens.commands_here import Commands, without
from tui.state import Snapshot
from tui.widgets.happenings import EventRows, EventTitle, EventWhole
from tui.widgets.key_bar import KeyBar, Keys

KEYS: Keys = (
    ("esc", "back"),
    ("enter", "log of that moment"),
    ("o", "run"),
    ("f", "severity"),
    ("/", "filter"),
    ("?", "help"),
    ("r", "one run, all"),
    ("m", "seen"),
    ("q", "quit"),
)
SHOWN = {"info": "all", "warning": "warnings and urgent", "urgent": "urgent only"}
READ_S = 2.0


@dataclass
class EventsRead(Message):
    """What was read; None: nothing could be, and why."""

    feed: EventFeed
    happenings: tuple[Happening, ...] | None
    problem: str = ""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, EventsRead) and message.feed is self.feed


class EventsScreen(StateScreen):
    """Shows events of *run* (a full id), or of all runs. Leaving it moves the divider."""

    HELP = "events"
    CSS_PATH = "events.tcss"
    PROMPT_HINT = "show only events with this text"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_moment", "the log of the chosen event's moment", show=False),
        Binding("o", "open_run", "open the chosen event's run", show=False),
        Binding("slash", "search", "show only events with a text", show=False),
        Binding("f", "severity(1)", "severity: the next", show=False),
        Binding("1", "least(0)", "severity: all", show=False),
        Binding("2", "least(1)", "severity: warnings and urgent", show=False),
        Binding("3", "least(2)", "severity: urgent only", show=False),
        Binding("r", "only_run", "the chosen event's run alone, or all runs", show=False),
        Binding("m", "seen", "all of this is seen", show=False),
        Binding("g,home", "jump(False)", "to the newest", show=False),
        Binding("G,end", "jump(True)", "to the oldest", show=False),
        Binding("escape", "back", "take back text and severity, then leave", show=False),
        Binding("j,down", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        Binding("pagedown,space,ctrl+d", "page(1)", show=False),
        Binding("pageup,ctrl+u", "page(-1)", show=False),
    ]

    def __init__(self, run: str | None = None) -> None:
        super().__init__()
        self.only = run
        self._feed: EventFeed | None = None
        self._reading: EventFeed | None = None
        self._shown: tuple[object, Sequence[Happening]] = (None, ())
        self._least = 0
        self._text = ""
        self._all: tuple[Happening, ...] = ()
        self._all_of = run
        """The run whose events `_all` are; None: of every one."""
        self._looked: float | None = None
        self._clicked = SecondClick()
        self.heading = EventTitle(id="title")
        self.rows = EventRows(id="events")
        self.whole = EventWhole(id="whole")
        self.keys = KeyBar(id="keys")

    def compose(self) -> ComposeResult:
        yield self.heading
        yield self.rows
        yield self.whole
        yield self.keys

    def on_mount(self) -> None:
        from tui.looked import read_looked

        self.keys.keys = KEYS
        self.rows.empty_text = "Reading the events."
        self._looked = read_looked(self.lanewatch.root)
        self._feed = EventFeed(self.lanewatch.root, self.only)
        self._read()
        self.set_interval(READ_S, self._read)

    @property
    def run(self) -> str | None:
        """The run of the chosen event: what keys that open a screen mean."""
        chosen = self.rows.selected
        return self.only if chosen is None else chosen.run

    def commands(self) -> Commands:
        """Those of the chosen event only where there is one."""
        idle = () if self.rows.selected is not None else ("open_moment", "open_run", "jump")
        return without(super().commands(), *idle)

    def show_state(self, _snapshot: Snapshot) -> None:
        self._show()

    def search_changed(self, text: str) -> None:
        self._text = text
        self._show()

    @on(EventsRead)
    def _take(self, message: EventsRead) -> None:
        if message.feed is not self._feed:
            return
        self._reading = None
        if message.happenings is None:
            self.rows.empty_text = message.problem
        else:
            self._all, self._all_of = message.happenings, self.only
            nothing = "No events: they come with a run's first stage."
            self.rows.empty_text = message.problem or nothing
        self._show()

    def action_back(self) -> None:
        """Take back prompt, text and severity first; then leave, and remember what was seen."""
        if self.prompting or self._text or self._least:
            self.close_prompt()
            self._least = 0
            self.search_changed("")
            return
        self.app.pop_screen()

    def on_unmount(self) -> None:
        self._remember()

    def action_open_moment(self) -> None:
        chosen = self.rows.selected
        if chosen is not None:
            self.lanewatch.open_log(chosen.run, at_wall=chosen.wall_s)

    def action_open_run(self) -> None:
        chosen = self.rows.selected
        if chosen is not None:
            self.lanewatch.open_run(chosen.run)

    def action_severity(self, by: int) -> None:
        self.action_least((self._least + by) % len(SEVERITIES))

    def action_least(self, number: int) -> None:
        """Show only what matters at least so much."""
        self._least = number
        self._show()

    def action_only_run(self) -> None:
        """Show the chosen event's run alone, or all runs again."""
        self.only = None if self.only is not None else self.run
        self._feed = EventFeed(self.lanewatch.root, self.only)
        if self.only is not None:  # what is there of it already stands there at once
            self._all = tuple(each for each in self._all if each.run == self.only)
            self._all_of = self.only
        self._read()
        self._show()

    def action_seen(self) -> None:
        """All of this has been seen: the divider goes above the newest."""
        self._looked = self._newest()
        self._remember()
        self._show()

    def action_move(self, rows: int) -> None:
        self.rows.move(rows)
        self._show_chosen()

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.rows.size.height - 1))

    def action_jump(self, to_end: bool) -> None:
        self.rows.jump(to_end=to_end)
        self._show_chosen()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_move(-3)

    def on_click(self, event: events.Click) -> None:
        """A click chooses an event, a second one opens its moment; on the title: severity."""
        if event.widget is self.heading:
            self.action_severity(1)
        if event.widget is not self.rows:
            return
        before = self.rows.selected
        if self.rows.select_row(event.y):
            self._show_chosen()
            if self._clicked.on(self.rows.selected, before):
                self.action_open_moment()

    def _show(self) -> None:
        snapshot = self.lanewatch.snapshot
        now = snapshot.taken_wall if snapshot else 0.0
        names = {each.run: each.name or each.run for each in snapshot.runs} if snapshot else {}
        shown = self._filtered(names)
        if self._all and not shown:
            self.rows.empty_text = "No event passes the filter: esc takes it back."
        self.rows.show(shown, names, self._looked, now, with_run=self.only is None)
        of = "all runs" if self.only is None else names.get(self.only, self.only)
        new = f"{self.rows.new} since you last looked" if self.rows.new else ""
        only = SHOWN[SEVERITIES[self._least]] if self._least else ""
        text = f"with {self._text}" if self._text else ""
        self.heading.show(f"events of {of}", (new, "accent"), (only, "warn"), (text, "accent"))
        self._show_chosen()

    def _show_chosen(self) -> None:
        snapshot = self.lanewatch.snapshot
        self.whole.show(self.rows.selected, snapshot.taken_wall if snapshot else 0.0)

    def _filtered(self, names: dict[str, str]) -> Sequence[Happening]:
        wanted, allowed = self._text.casefold(), SEVERITIES[self._least :]
        asked = (self._all, wanted, allowed)
        if asked == self._shown[0]:
            return self._shown[1]
        found = [
            each
            for each in self._all
            if each.severity in allowed
            and wanted in f"{each.text} {each.kind} {names.get(each.run, '')} {each.run}".casefold()
        ]
        self._shown = (asked, found)
        return found

    def _newest(self) -> float | None:
        return max((each.wall_s for each in self._all if each.wall_s is not None), default=None)

    def _remember(self) -> None:
        """Only what all runs have to tell counts as seen; a read-only view leaves no trace."""
        from tui.looked import write_looked

        newest = self._newest()
        of_all = self.only is None and self._all_of is None
        if newest is not None and of_all and not self.lanewatch.read_only:
            write_looked(self.lanewatch.root, newest)

    def _read(self) -> None:
        """Have the events read, unless that is still under way: the disk may be slow."""
        if self._feed is not None and self._reading is not self._feed:
            self._reading = self._feed
            self._read_feed(self._feed)

    @work(group="events", exit_on_error=False)
    async def _read_feed(self, feed: EventFeed) -> None:
        await aside(lambda: self._really_read(feed))

    def _really_read(self, feed: EventFeed) -> None:
        found: tuple[Happening, ...] | None = None
        problem = ""
        try:
            found = feed.read()
            only = self.only
            if not found and only is not None and not (self.lanewatch.root / only).is_dir():
                problem = f"The folder of run {only} is gone: esc goes back."
        except OSError as error:
            problem = f"{error.filename} cannot be read: {error.strerror}"
        except Exception as error:  # noqa: BLE001 - unsaid, the screen would stand still for ever
            problem = f"The events could not be read: {type(error).__name__}: {error}"
        self.post_message(EventsRead(feed, found, problem))
