"""What the settings screen does with alert channels: add, test and remove one.

The functions of `lanewatch alerts` do it, on threads. A URL is a secret: all of it is seen only in
the line that it is typed into.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message
from textual.widgets import Input

from tui.actions import Question
from tui.lines import clean
from tui.screens.base import StateScreen
from tui.widgets.key_bar import KeyBar
from tui.widgets.prompt_note import PromptNote
from tui.widgets.settings_view import Setting, SettingsView
from tui.widgets.typed_line import TypedLine

if TYPE_CHECKING:
    from tui.launching.settings_desk import ChannelLine, SettingsDesk

CHANNEL = "alert channels"
NOT_ON_ONE = "No alert channel is under the cursor."
EXPECTED = (
    "An apprise URL (https://appriseit.com/services/), a name before it if you like: "
    "enter adds it, esc leaves it."
)
ASKING = "Asking apprise whether it knows such a URL; esc leaves it."


def removal(channel: str, *, last: bool) -> Question:
    """What is asked before *channel* is removed; *last*: there is no other."""
    only = " It is the last one: who does not look at lanewatch is told of no stall any more."
    return Question(
        title=f"Remove the alert channel {channel}?",
        loses="No alert of any run goes there any more, and its URL is not kept."
        + (only if last else ""),
        does="remove it",
    )


class Told(Message):
    """What a thread found or did: the settings as read, or a sentence."""

    def __init__(
        self,
        sentence: str = "",
        *,
        limit: str | None = None,
        channels: tuple[ChannelLine, ...] | None = None,
        unkept: str | None = None,
    ) -> None:
        """*unkept* is a limit that is not in force after all, and *limit* the one before it."""
        super().__init__()
        self.sentence, self.limit, self.channels, self.unkept = sentence, limit, channels, unkept


class ChannelActs(StateScreen):
    """The part of the screen that has the channels' keys."""

    PROMPT_HINT = "ntfy://TOPIC, or with a name: phone ntfy://TOPIC"

    def __init__(self, desk: SettingsDesk) -> None:
        super().__init__()
        self._desk = desk
        self._channels: tuple[ChannelLine, ...] | None = None
        self._wanted: TypedLine | None = None
        """Holds the channel that was entered and that nobody has answered yet."""
        self.view = SettingsView(id="settings")
        self.note = PromptNote("a new alert channel", id="note")
        self.keys = KeyBar(id="keys")

    def tell(self, told: Told) -> None:
        """Show what a thread found or did."""
        raise NotImplementedError

    @property
    def channel_here(self) -> Setting | None:
        """The channel under the cursor."""
        setting = self.view.selected
        return setting if setting is not None and setting.group == CHANNEL else None

    def action_test(self) -> None:
        channel = self.channel_here
        if channel is None:
            self.lanewatch.say(NOT_ON_ONE)
            return
        self.keys.trouble = f"sending a test to {clean(channel.key)}"
        self.do(lambda: self._test(channel.key))

    def action_remove(self) -> None:
        """Ask, and say what is lost."""
        from tui.screens.confirm_action import ConfirmActionScreen

        channel = self.channel_here
        if channel is None:
            self.lanewatch.say(NOT_ON_ONE)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.do(lambda: self._remove(channel.key))

        asked = removal(channel.key, last=len(self._channels or ()) == 1)
        self.app.push_screen(ConfirmActionScreen(asked), answered)

    def action_add(self) -> None:
        """Open a line for a channel's URL."""
        if not self.prompting:
            self.search_changed("")
            self.add_class("-adding")
            self.action_search()

    def close_prompt(self) -> None:
        """What was entered and is still being looked at, is not wanted any more."""
        self._wanted = None
        self.remove_class("-adding")
        super().close_prompt()

    def search_changed(self, _text: str) -> None:
        """What was wrong with the line is not said of another."""
        self.note.sentence, self.note.refused = EXPECTED, False

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The line stays as it is until the channel is kept, or is typed on where it is refused."""
        event.stop()
        event.prevent_default()
        typed, entered = event.value.strip(), self.query_one("#prompt", TypedLine)
        if not typed:
            self.close_prompt()
            return
        self.note.sentence, self.note.refused = ASKING, False
        self._wanted, entered.leavable = entered, True
        self.do(lambda: self._add(typed, entered))

    def _test(self, channel: str) -> None:
        try:
            told = self._desk.test(channel)
        except Exception as error:  # noqa: BLE001 - whatever it was, the person must read it
            told = f"{channel}: the test failed, {error}"
        self.answer(lambda: self.tell(Told(told)), told)

    def _add(self, typed: str, entered: TypedLine) -> None:
        try:
            name = self._desk.add(typed, lambda: self._wanted is entered)
            channels = self._desk.channels()
        except Exception as error:  # noqa: BLE001 - whatever it was, the person must read it
            told = str(error)
            self.answer(lambda: self._refuse(entered, told), f"no alert channel is added: {told}")
            return
        if name is not None:
            told = f"{name} is added; t sends it a test"
            self.answer(lambda: self._show_added(name, Told(told, channels=channels)), told)

    def _refuse(self, entered: TypedLine, why: str) -> None:
        if self._wanted is entered:
            self._wanted = None
            self.note.sentence, self.note.refused = why, True
            entered.go_on()

    def _show_added(self, channel: str, told: Told) -> None:
        """With the cursor on it, where it can be tested."""
        self.tell(told)
        rows = enumerate((each.group, each.key) for each in self.view.settings)
        here = (at for at, each in rows if each == (CHANNEL, channel))
        self.view.cursor = next(here, self.view.cursor)
        self.close_prompt()

    def _remove(self, channel: str) -> None:
        try:
            self._desk.remove(channel)
            told = Told(f"{channel} is removed", channels=self._desk.channels())
        except Exception as error:  # noqa: BLE001 - whatever it was, the person must read it
            told = Told(f"{channel} is not removed: {error}")
        self.answer(lambda: self.tell(told), told.sentence)
