"""A run's screen shows that run: not another one's curves, not the state before it was begun."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shown import MakeApp, screen_text, show

from monitor.status_model import RunStatus
from tui.screens.run import RunScreen
from tui.screens.run_tabs import ChartsTab
from tui.state import RunDetail

NEW = "nemo-20260521-133001-00aa"


async def test_the_curves_of_another_run_are_not_drawn_until_its_own_are_read(
    make_app: MakeApp, snap_of: Any, training: RunStatus, details: Any
) -> None:
    other = replace(training, run=NEW, name="other")
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of(training, other, opened=training))
        app.open_run(training.run)
        await show(pilot, snap_of(training, other, opened=training))
        await pilot.press("2")
        await show(pilot, snap_of(training, other, detail=details(other)))
        screen = app.screen
        assert isinstance(screen, RunScreen)
        assert isinstance(screen.tab, ChartsTab)
        assert not any(graph.series for graph in screen.tab.graphs)
        await show(pilot, snap_of(training, other, opened=training))
        assert any(graph.series for graph in screen.tab.graphs)


async def test_a_run_that_was_just_begun_is_not_said_to_be_gone(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of(training))
        app.open_run(NEW)
        await pilot.pause()
        await pilot.pause()
        assert "Reading the run." in screen_text(app)
        await show(pilot, snap_of(training, replace(training, run=NEW, name="new")))
        assert "Reading the run." not in screen_text(app)
        await show(pilot, snap_of(training, detail=RunDetail(run=NEW)))
        assert "its folder is gone" in screen_text(app)


async def test_a_search_goes_on_on_a_tab_that_is_first_opened_behind_it(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app()
    async with app.run_test(size=(120, 50)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        app.open_run(training.run)
        await show(pilot, snap_of(training, opened=training))
        await pilot.press("slash", *"step=1", "enter")
        screen = app.screen
        assert isinstance(screen, RunScreen)
        assert screen.tabs.active == 0
        await pilot.press("5", "n")
        await pilot.pause()
        assert "1 of" in screen_text(app) or "matches, n: next" in screen_text(app)
        assert screen.tab.log_tail is not None
        assert screen.tab.log_tail.pattern == "step=1"
        await pilot.press("escape")
        assert app.screen is screen
        assert screen.tab.log_tail.pattern == ""
