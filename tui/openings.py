"""The screens that open on top of another: how each is reached, by key and from code.

A mixin of the app, so that a new screen is one method and one key here. Keys mean the run that the
screen in front is about: its own, or the one under the board's cursor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textual import events
from textual.binding import Binding, BindingType

if TYPE_CHECKING:
    from textual.app import App

    from tui.state import Snapshot

    Base = App[None]
else:
    Base = object

OPENING_KEYS: list[BindingType] = [
    Binding("t", "open_log", "log", show=False),
    Binding("v", "open_events(True)", "events", show=False),
    Binding("V", "open_events", "events of this run", show=False),
    Binding("space", "mark", "mark to compare", show=False),
    Binding("c", "open_compare", "compare", show=False),
]


class Openings(Base):
    """Opens log, comparison and events."""

    snapshot: Snapshot | None

    def on_key(self, event: events.Key) -> None:
        """What was typed before a prompt had the keyboard belongs to the prompt.

        Over SSH "/nan" comes in one piece, and Textual 8.2 gives all of it to the screen. Likewise
        a picker's, which may not have its line yet: what names a model must not be keys of a form.
        """
        screen: Any = self.screen
        prompts = screen.query("#prompt, #typed")
        held: list[events.Key] | None = getattr(screen, "typed_ahead", None)
        if getattr(event, "went_to_prompt", False) or (not prompts and held is None):
            return
        event.prevent_default()
        event.stop()
        again = events.Key(event.key, event.character)
        again.went_to_prompt = True  # type: ignore[attr-defined]
        if not prompts:
            assert held is not None
            held.append(again)
            return
        again.set_sender(prompts.first())  # what it leaves alone comes back here
        prompts.first().post_message(again)

    def open_log(self, run: str, *, stage: str | None = None, at_wall: float | None = None) -> None:
        """Show the log of *run* (a full id): of *stage*, or as it was at the moment *at_wall*."""
        from tui.screens.log import LogScreen

        self.push_screen(LogScreen(run, stage=stage, at_wall=at_wall))

    def action_open_log(self) -> None:
        from tui.screens.log import LogScreen

        run = self.run_in_front()
        if run is not None and not isinstance(self.screen, LogScreen):
            self.open_log(run)

    def open_events(self, run: str | None = None) -> None:
        """Show what happened to *run* (a full id), or to all runs."""
        from tui.screens.events import EventsScreen

        self.push_screen(EventsScreen(run))

    def action_open_events(self, of_all: bool = False) -> None:
        from tui.screens.events import EventsScreen

        run = self.run_in_front()
        if self.screen.is_modal or isinstance(self.screen, EventsScreen):
            return
        if of_all or run is not None:
            self.open_events(None if of_all else run)

    @property
    def marked_runs(self) -> list[str]:
        """The runs that are marked to be compared, in the order of marking."""
        marked: list[str] = self.__dict__.setdefault("_marked_runs", [])
        return marked

    def action_mark(self) -> None:
        """Mark the run under the board's cursor for a comparison, or take its mark back."""
        run, table = self.run_in_front(), getattr(self.screen, "table", None)
        if run is None or table is None:
            return
        marked = self.marked_runs
        if run in marked:
            marked.remove(run)
        else:
            marked.append(run)
        table.marked = frozenset(marked)

    def open_compare(self, runs: Sequence[str]) -> None:
        """Show *runs* (full ids) beside each other, held against the first one."""
        from tui.screens.compare import CompareScreen

        self.push_screen(CompareScreen(runs))

    def action_open_compare(self) -> None:
        """Compare the marked runs; with fewer than two, the marked one and the one in front."""
        run = self.run_in_front()
        if run is None:
            return
        marked = self.marked_runs
        if self.snapshot is not None and self.snapshot.scanned:
            # A folder that is gone stands on no board, where its mark could be taken back.
            marked[:] = [each for each in marked if self.snapshot.status_of(each) is not None]
        runs = marked if len(marked) > 1 else list(dict.fromkeys((*marked, run)))
        if len(runs) < 2:
            say = "mark runs on the board with space, then c compares them with the one in front"
            self.notify(say, markup=False)
            return
        self.open_compare(runs)

    def idle_openings(self) -> set[str]:
        """Which actions that open something would open nothing on the screen in front."""
        from tui.commands import COMPARE, EVENTS, EVENTS_OF_ALL, LOG, MARK, SETTINGS
        from tui.screens.events import EventsScreen
        from tui.screens.log import LogScreen
        from tui.screens.settings import SettingsScreen

        screen, run = self.screen, self.run_in_front()
        idle = {LOG, EVENTS, COMPARE, MARK} if run is None else set()
        if isinstance(screen, LogScreen):
            idle.add(LOG)
        if isinstance(screen, EventsScreen):
            idle |= {EVENTS, EVENTS_OF_ALL}
        if not hasattr(screen, "table"):
            idle.add(MARK)
        if isinstance(screen, SettingsScreen) or getattr(self, "read_only", False):
            idle.add(SETTINGS)
        return idle

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
