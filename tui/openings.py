"""The screens that open on top of another: how each is reached, by key and from code.

A mixin of the app, so that a new screen is one method and one key here. Keys mean the run that the
screen in front is about: its own, or the one under the board's cursor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.binding import Binding, BindingType

if TYPE_CHECKING:
    from textual.app import App

    Base = App[None]
else:
    Base = object

OPENING_KEYS: list[BindingType] = [
    Binding("l", "open_log", "log", show=False),
]


class Openings(Base):
    """Opens log, comparison and events."""

    def open_log(self, run: str, *, stage: str | None = None, at_wall: float | None = None) -> None:
        """Show the log of *run* (a full id): of *stage*, or as it was at the moment *at_wall*."""
        from tui.screens.log import LogScreen

        self.push_screen(LogScreen(run, stage=stage, at_wall=at_wall))

    def action_open_log(self) -> None:
        from tui.screens.log import LogScreen

        run = self.run_in_front()
        if run is not None and not isinstance(self.screen, LogScreen):
            self.open_log(run)

    def run_in_front(self) -> str | None:
        """The run that the screen in front is about; None on a screen that is about none."""
        screen: Any = self.screen
        if screen.is_modal:
            return None
        named = getattr(screen, "run", None)
        if isinstance(named, str):
            return named
        table = getattr(screen, "table", None)
        chosen = getattr(table, "selected", None)
        return getattr(chosen, "run", None)
