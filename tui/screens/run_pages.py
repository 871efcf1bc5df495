"""The tabs of a run's screen that are one list each, and how a tab is made by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tui.screens.run_overview import OverviewTab
from tui.screens.run_series import TRAINING
from tui.screens.run_tab import Look, RunTab, Scroller
from tui.screens.run_tabs import ChartsTab, LogTab, MachineTab
from tui.widgets.checkpoint_view import CheckpointView
from tui.widgets.event_list import EventList
from tui.widgets.recipe_view import RecipeView

if TYPE_CHECKING:
    from textual.app import ComposeResult


class CheckpointsTab(RunTab):
    """The checkpoint timeline."""

    scrolls = "list"

    def __init__(self) -> None:
        super().__init__(id="tab-checkpoints")
        self.timeline = CheckpointView(id="timeline")

    def compose(self) -> ComposeResult:
        yield self.timeline

    @property
    def scroller(self) -> Scroller:
        return self.timeline

    def show(self, look: Look) -> None:
        self.timeline.show(look.status, look.detail, look.snapshot.taken_wall)


class EventsTab(RunTab):
    """What happened to this run."""

    scrolls = "list"

    def __init__(self) -> None:
        super().__init__(id="tab-events")
        self.events = EventList(id="events")

    def compose(self) -> ComposeResult:
        yield self.events

    @property
    def scroller(self) -> Scroller:
        return self.events

    def show(self, look: Look) -> None:
        self.events.show(look.detail.events if look.detail else (), look.snapshot.taken_wall)


class RecipeTab(RunTab):
    """What was asked for, and with what it is done."""

    scrolls = "list"

    def __init__(self) -> None:
        super().__init__(id="tab-recipe")
        self.recipe = RecipeView(id="recipe")

    def compose(self) -> ComposeResult:
        yield self.recipe

    @property
    def scroller(self) -> Scroller:
        return self.recipe

    def show(self, look: Look) -> None:
        self.recipe.rows = look.detail.recipe if look.detail else ()


PAGES: dict[str, Callable[[], RunTab]] = {
    "overview": OverviewTab,
    "training": lambda: ChartsTab(TRAINING),
    "machine": MachineTab,
    "checkpoints": CheckpointsTab,
    "log": LogTab,
    "events": EventsTab,
    "recipe": RecipeTab,
}
