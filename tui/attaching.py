"""`a`: the trainings that lanewatch did not start, one of which is watched from then on.

A mixin of the app. What trains here is found, and attached to, by the desk that the command line
hands in; both take a while, so that a worker asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual import work

from tui.messages import ActionDone, Attached

if TYPE_CHECKING:
    from textual.app import App
    from textual.screen import Screen

    from tui.launching.attach_desk import AttachDesk

    Base = App[None]
else:
    Base = object

OpenAttach = Callable[[], "AttachDesk"]
"""What the attach screen asks; made when it is first opened, since attaching loads much."""


class Attaching(Base):
    """Opens the attach screen and does what is picked there."""

    read_only: bool
    _open_attach: OpenAttach | None

    if TYPE_CHECKING:

        def say(self, text: str) -> None: ...
        def open_run(self, run: str) -> None: ...

    def open_attach(self) -> None:
        """Show what trains here without lanewatch, and watch what is picked."""
        if self._open_attach is None or self.read_only:
            self.say("This view is read-only: nothing is attached from here.")
            return
        from tui.screens.pick import PickScreen

        desk, front = self._open_attach(), self.screen

        def chosen(pid: str | None) -> None:
            if pid is not None:
                self._attach_to(desk, pid, front)

        title = "attach: which training is to be watched? Nothing of it is touched."
        none = "No training was found on this machine that lanewatch did not start."
        self.push_screen(PickScreen(title, find=desk.candidates, none=none), chosen)

    def action_attach(self) -> None:
        self.open_attach()

    @work(thread=True, exclusive=True, group="attach", exit_on_error=False)
    def _attach_to(self, desk: AttachDesk, pid: str, front: Screen[Any]) -> None:
        try:
            run = desk.attach(pid)
        except Exception as error:  # noqa: BLE001 - whatever it was, the person must read it
            self.post_message(ActionDone(f"{pid} is not watched: {error}"))
            return
        self.post_message(Attached(run, front))

    def on_attached(self, message: Attached) -> None:
        """Open the run, unless the person does something else by now: then tell of it."""
        front = self.screen
        if front is message.asked_from and not front.query("#prompt"):
            self.open_run(message.run)
        else:
            self.say(f"{message.run} is watched now.")
