"""What the mouse does where no other test of a screen says it: questions, graphs, the wheel."""

from __future__ import annotations

from typing import Any

import pytest
from run_states import full_detail, run_in
from shown import MakeApp, show, text_of
from textual import events
from textual.pilot import Pilot

from monitor.status_model import RunStatus
from tui.actions import Action
from tui.screens.confirm_action import ConfirmActionScreen
from tui.screens.confirm_stop import ConfirmStopScreen
from tui.screens.run import RunScreen
from tui.screens.run_tabs import ChartsTab
from tui.widgets.graph import Graph
from tui.widgets.key_bar import KeyBar
from tui.widgets.log_tail import LogTail
from tui.widgets.question_view import QuestionView


async def click_row(pilot: Pilot[None], text: str) -> None:
    """Click on the row of the question in front that holds *text*."""
    view = pilot.app.screen.query_one(QuestionView)
    row = next(at for at, each in enumerate(view.plain()) if text in each)
    left, top = view.gutter.left, view.gutter.top
    assert await pilot.click(QuestionView, offset=(left + 6, top + row))
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def test_a_question_is_answered_by_a_click_on_an_answer_alone(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    done: list[Any] = []

    def act(run: str, action: Action) -> str:
        done.append(action)
        return "done"

    app = make_app(run=training.run, stop=lambda run, save: done.append(save), act=act)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        await pilot.press("s")
        await pilot.pause()
        await click_row(pilot, "Stop p65?")
        assert isinstance(app.screen, ConfirmStopScreen)
        await click_row(pilot, "leave it running")
        assert isinstance(app.screen, RunScreen)
        assert done == []
        for answer, said in (("without saving", False), ("save at the next step", True)):
            await pilot.press("s")
            await pilot.pause()
            await click_row(pilot, answer)
            assert done.pop() is said
        await pilot.press("K")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmActionScreen)
        await click_row(pilot, "   y")
        assert done == [Action.KILL]


async def wheel(pilot: Pilot[None], over: Any, kind: type[events.MouseEvent]) -> None:
    await pilot._post_mouse_events([kind], over, offset=(5, 1))
    await pilot.pause()


async def test_the_wheel_zooms_a_graph_and_a_double_click_shows_all_again(
    make_app: MakeApp, snap_of: Any, states: Any, details: Any
) -> None:
    training = run_in("training", states)
    assert training is not None
    app = make_app(run=training.run)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of(training, detail=full_detail(training, details(training))))
        await pilot.press("2")
        await pilot.pause()
        assert isinstance(app.screen, RunScreen)
        tab = app.screen.tab
        assert isinstance(tab, ChartsTab)
        loss = tab.graphs[0]
        whole = loss.plain()
        await wheel(pilot, loss, events.MouseScrollUp)
        assert "iterations 113 to 241" in loss.plain()[0]
        await wheel(pilot, loss, events.MouseScrollDown)
        assert loss.plain() == whole
        await wheel(pilot, loss, events.MouseScrollUp)
        await pilot.click(loss, offset=(5, 1), times=2)
        await pilot.pause()
        assert loss.plain() == whole
        await pilot.press("1")
        await pilot.pause()
        tail = app.screen.query_one("#tab-overview LogTail", LogTail)
        before = tail.plain()
        await wheel(pilot, tail, events.MouseScrollUp)
        assert tail.plain() != before
        first = app.screen.query("#tab-overview Graph").first(Graph)
        assert first.plain()[0].startswith("loss")
        await wheel(pilot, first, events.MouseScrollUp)
        assert app.screen.view.depth == 1


@pytest.mark.parametrize(("key", "tab"), [("1-7", 1), ("+ -", 0)])
async def test_a_click_in_the_bottom_line_is_the_key_that_is_there(
    make_app: MakeApp, snap_of: Any, states: Any, details: Any, key: str, tab: int
) -> None:
    training = run_in("training", states)
    assert training is not None
    app = make_app(run=training.run)
    async with app.run_test(size=(160, 40)) as pilot:
        await show(pilot, snap_of(training, detail=full_detail(training, details(training))))
        screen = app.screen
        assert isinstance(screen, RunScreen)
        at = text_of(app, KeyBar).index(key)
        await pilot.click(KeyBar, offset=(at, 0))
        await pilot.pause()
        assert screen.tabs.active == tab
        assert (screen.view.depth > 0) is (key == "+ -")
        if key == "+ -":
            await pilot.click(KeyBar, offset=(at + 2, 0))
            await pilot.pause()
            assert screen.view.depth == 0
