"""Settings: the theme, what happens at the memory limit, and the alert channels."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.aside import aside
from tui.lines import clean
from tui.screens.channel_acts import CHANNEL, ChannelActs, Told
from tui.screens.commands_here import Commands, without
from tui.state import Snapshot, is_over
from tui.themes import ABOUT, THEMES
from tui.widgets.key_bar import Keys
from tui.widgets.settings_view import Setting
from tui.widgets.title_text import TitleText

if TYPE_CHECKING:
    from tui.launching.settings_desk import ChannelLine, SettingsDesk

KEYS: Keys = (("a", "add a channel"), ("esc", "back"), ("j k", "move"))
TAKE: Keys = (("enter", "take it"),)
ON_CHANNEL: Keys = (("t", "test it"), ("x", "remove it"))
THEME, LIMIT = "theme", "at the memory limit"
LIMITS = {
    "notify": "tell, do nothing",
    "save-and-stop": "save and stop while there is time to save",
    "stop-now": "or that, and at the limit stop without saving",
}
NOT_READ = "not known: they could not be read, or not yet"
NO_CHANNEL = "none yet: a adds one, for example ntfy://TOPIC"


class SettingsScreen(ChannelActs):
    """What is taken is in force at once and kept in the user's configuration."""

    HELP = "settings"
    CSS_PATH = "settings.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "take", "put in force what is under the cursor", show=False),
        Binding("t", "test", "send a test to the channel under the cursor", show=False),
        Binding("a", "add", "add an alert channel", show=False),
        Binding(
            "x,delete", "remove", "remove the channel under the cursor; asks first", show=False
        ),
        Binding("g,home", "move(-99)", "to the first setting", show=False),
        Binding("G,end", "move(99)", "to the last setting", show=False),
        Binding("escape", "back", "leave the settings", show=False),
        Binding("j,down,tab", "move(1)", show=False),
        Binding("k,up,shift+tab", "move(-1)", show=False),
    ]

    def __init__(self, desk: SettingsDesk) -> None:
        super().__init__(desk)
        self._limit: str | None = None
        self._failing: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        yield TitleText("settings", id="title")
        yield self.view
        yield self.note
        yield self.keys

    def on_mount(self) -> None:
        self.watch(self.view, "cursor", self._show_keys)
        self._show()
        self._read()

    def commands(self) -> Commands:
        """A test and a removal only where a channel is under the cursor."""
        return without(super().commands(), *(() if self.channel_here else ("test", "remove")))

    def show_state(self, snapshot: Snapshot) -> None:
        failing: dict[str, str] = {}
        for run in snapshot.runs:
            if not is_over(run):
                failing |= dict(run.alerts.channels_failing)
        if failing != self._failing:
            self._failing = failing
            self._show()

    def action_back(self) -> None:
        if self.prompting:
            self.close_prompt()
        else:
            self.app.pop_screen()

    def action_move(self, rows: int) -> None:
        last = len(self.view.settings) - 1
        self.view.cursor = min(max(0, self.view.cursor + rows), last)

    def action_take(self) -> None:
        """Put in force what is under the cursor; a channel is tested."""
        setting = self.view.selected
        if setting is None:
            return
        if setting.group == THEME:
            self.lanewatch.set_theme(setting.key)
            self._show()
        elif setting.group == LIMIT:
            before, self._limit = self._limit, setting.key
            self._show()
            self.do(lambda: self._put(setting.key, before))
        else:
            self.action_test()

    def on_click(self, event: events.Click) -> None:
        """A click takes what it hits."""
        if event.widget is self.view and (number := self.view.setting_at(event.y)) is not None:
            self.view.cursor = number
            self.action_take()

    def _show(self) -> None:
        rows = [
            Setting(
                key=each,
                group=THEME,
                title=each,
                text=ABOUT[each],
                chosen=each == self.lanewatch.theme_name,
            )
            for each in THEMES
        ]
        rows += [
            Setting(key=each, group=LIMIT, title=each, text=about, chosen=each == self._limit)
            for each, about in LIMITS.items()
        ]
        rows += [self._channel(each) for each in self._channels or ()]
        self.view.settings = tuple(rows)
        self.view.cursor = min(self.view.cursor, len(rows) - 1)
        self._show_keys()
        told = {THEME: "NO_COLOR is set: no theme has a colour."} if self._colourless() else {}
        if not self._channels:
            told[CHANNEL] = NO_CHANNEL if self._channels is not None else NOT_READ
        self.view.told = told

    def _show_keys(self) -> None:
        self.keys.keys = (*(ON_CHANNEL if self.channel_here else TAKE), *KEYS)

    def _channel(self, channel: ChannelLine) -> Setting:
        problem = self._failing.get(channel.name)
        return Setting(
            key=channel.name,
            group=CHANNEL,
            title=channel.name,
            text=f"fails: {problem}" if problem else channel.service,
            tone="bad" if problem else "",
        )

    @staticmethod
    def _colourless() -> bool:
        return bool(os.environ.get("NO_COLOR"))

    @work(group="read", exit_on_error=False)
    async def _read(self) -> None:
        await aside(self._really_read)

    def _really_read(self) -> None:
        """Either may be broken, and does not hide the other."""
        reads: tuple[Callable[[], Told], ...] = (
            lambda: Told(channels=self._desk.channels()),
            lambda: Told(limit=self._desk.get("ui.at_limit")),
        )
        for read in reads:
            try:
                told = read()
            except Exception as error:  # noqa: BLE001 - whatever it was, the person must read it
                told = Told(str(error))
            self.post_message(told)

    def _put(self, limit: str, before: str | None) -> None:
        try:
            self._desk.put("ui.at_limit", limit)
        except Exception as error:  # noqa: BLE001 - whatever it was, the person must read it
            told = Told(str(error), limit=before, unkept=limit)
            self.answer(lambda: self.tell(told), told.sentence)

    @on(Told)
    def tell(self, message: Told) -> None:
        if message.channels is not None:
            self._channels = message.channels
        if message.unkept is None:
            self._limit = message.limit or self._limit
        elif message.unkept == self._limit:
            self._limit = message.limit
        self._show()
        if message.sentence:
            self.keys.trouble = self._trouble
            self.app.notify(clean(message.sentence), markup=False)
