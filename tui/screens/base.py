"""What the screens share: how state reaches them, and the one-line prompt for a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from textual.screen import Screen
from textual.widgets import Input

from tui.messages import Answered
from tui.narrow_updates import NarrowCompositor
from tui.screens.commands_here import Commands, commands_of
from tui.widgets.key_bar import KeyBar
from tui.widgets.typed_line import TypedLine

if TYPE_CHECKING:
    from tui.app import LanewatchApp
    from tui.state import Snapshot


class StateScreen(Screen[Any]):
    """A screen that shows a `Snapshot`; the app hands it each new one while it is in front."""

    AUTO_FOCUS = None
    PROMPT_HINT: ClassVar[str] = "search"
    HELP: ClassVar[str] = ""
    """How the heading of its keys on the help screen begins."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._compositor = NarrowCompositor()
        self._trouble = ""
        self._lanewatch: LanewatchApp | None = None

    @property
    def lanewatch(self) -> LanewatchApp:
        """The app, by its own type; kept, since a thread finds none once the screen is left."""
        from tui.app import LanewatchApp

        if self._lanewatch is None:
            app = self.app
            if not isinstance(app, LanewatchApp):
                raise TypeError("this screen belongs to LanewatchApp")
            self._lanewatch = app
        return self._lanewatch

    def show_state(self, snapshot: Snapshot) -> None:
        """Hand every widget its part of *snapshot*."""
        raise NotImplementedError

    def commands(self) -> Commands:
        """What the command palette offers here and now."""
        return commands_of(type(self).BINDINGS)

    def search_changed(self, text: str) -> None:
        """Apply what has been typed so far at the prompt."""

    def on_screen_resume(self) -> None:
        self.call_after_refresh(self._show_latest)

    def show_trouble(self, text: str) -> None:
        """Say in the key bar that the monitor itself is in difficulty; empty text takes it back."""
        if text == self._trouble:
            return  # what else the bar may say, that a launch is under way for one, stays
        self._trouble = text
        for bar in self.query(KeyBar):
            bar.trouble = text

    def do(self, work: Callable[[], object]) -> None:
        """Do *work* on a thread, to its end: a worker of this screen's own is cancelled with it."""
        self.lanewatch.run_worker(work, group="do", thread=True, exit_on_error=False)

    def answer(self, take: Callable[[], object], told: str) -> None:
        """From a thread: have *take* called if this screen is still open, else say *told*."""
        self.lanewatch.post_message(Answered(self, take, told))

    @property
    def prompting(self) -> bool:
        """True while the prompt has the keyboard."""
        return bool(self.query("#prompt"))

    def action_search(self) -> None:
        """Open the prompt at the bottom line."""
        if self.prompting:
            return
        prompt = TypedLine(self.PROMPT_HINT, id="prompt")
        self.mount(prompt)
        prompt.focus()

    def close_prompt(self) -> None:
        """Give the keyboard back to the screen."""
        self.query("#prompt").remove()
        self.set_focus(None)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.search_changed(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.close_prompt()

    def _show_latest(self) -> None:
        snapshot = self.lanewatch.snapshot
        if snapshot is not None:
            self.show_state(snapshot)


class SecondClick:
    """Tells a click on what the click before it chose, however slowly it follows.

    Two taps through a slow line are no double click; and one tap on a row that a key chose opens
    nothing yet.
    """

    def __init__(self) -> None:
        self._last: object = None

    def on(self, chosen: object, before: object) -> bool:
        """True for the second click on *chosen*; *before* is what was chosen until this one."""
        again = chosen is not None and chosen == before and chosen == self._last
        self._last = None if again else chosen
        return again
