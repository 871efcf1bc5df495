"""What the mouse does where no other test of a screen says it: questions, graphs, the wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from desks import REFUSED, FakeDesk
from fabricated_diagnoses import DEADLOCK
from launch_form import opened as opened_form
from launch_form import pause_until
from pressed import Settings
from run_states import full_detail, run_in
from shown import MakeApp, show, text_of
from textual import events
from textual.pilot import Pilot

from monitor.diagnosis.values import Remedy
from monitor.status_model import RunStatus
from tui.actions import Action
from tui.launching.form import Field
from tui.launching.settings_desk import ChannelLine
from tui.screens.confirm_action import ConfirmActionScreen
from tui.screens.confirm_remedy import RemedyQuestion
from tui.screens.confirm_stop import ConfirmStopScreen
from tui.screens.diagnosis import DiagnosisScreen
from tui.screens.run import RunScreen
from tui.screens.run_tabs import ChartsTab
from tui.screens.settings import SettingsScreen
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


class ManyChannels(Settings):
    def channels(self) -> tuple[ChannelLine, ...]:
        return tuple(ChannelLine(f"channel {at}", "ntfy") for at in range(6))


@pytest.mark.parametrize("size", [(80, 24), (50, 14)])
async def test_a_click_means_the_setting_that_is_drawn_there(
    make_app: MakeApp, snap_of: Any, size: tuple[int, int]
) -> None:
    """Also where more settings are above than have room: one of them would be taken instead."""
    app = make_app(settings=ManyChannels)
    async with app.run_test(size=size) as pilot:
        await show(pilot, snap_of())
        await pilot.press("comma")
        screen = app.screen
        assert isinstance(screen, SettingsScreen)
        await pause_until(pilot, lambda: len(screen.view.settings) > 8)
        await pilot.press("G")
        await pilot.pause()
        hit = [(row, screen.view.setting_at(at)) for at, row in enumerate(screen.view.plain())]
        titles = [(row, screen.view.settings[at].title) for row, at in hit if at is not None]
        assert titles
        assert all(title in row for row, title in titles)


@pytest.mark.parametrize("size", [(80, 24), (50, 18), (50, 14)])
async def test_a_click_means_the_field_that_is_drawn_there(
    make_app: MakeApp, snap_of: Any, size: tuple[int, int]
) -> None:
    app = make_app(launch=lambda: FakeDesk(looked=REFUSED))
    async with app.run_test(size=size) as pilot:
        view = (await opened_form(pilot, snap_of())).form_view
        await pilot.press("G")
        await pilot.pause()
        drawn = {
            field: at
            for at, row in enumerate(view.plain())
            for field in Field
            if row[2:].startswith(f"{field.value} ")
        }
        assert Field.NAME in drawn
        assert {field: view.field_at(at) for field, at in drawn.items()} == {
            field: field for field in drawn
        }


async def test_the_row_that_counts_what_is_below_chooses_no_remedy(
    make_app: MakeApp, snap_of: Any, tmp_path: Path
) -> None:
    app = make_app(stop=lambda run, save: None)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of())
        screen = DiagnosisScreen("x", tmp_path, look=lambda how: DEADLOCK)
        app.push_screen(screen)
        await pause_until(pilot, lambda: screen.view.found is DEADLOCK)
        first = min(screen.view._remedies)
        assert screen.view.remedy_at(first) == 1
        await pilot.resize_terminal(80, first + 1 + 24 - screen.view.size.height)
        await pilot.pause()
        assert "more lines" in screen.view.plain()[-1]
        assert first == screen.view.size.height - 1
        assert screen.view.remedy_at(first) is None


def test_the_commands_of_a_remedy_are_shown_whole() -> None:
    container = "0123456789abcdef" * 4
    remedy = Remedy(do="x", loses="nothing", commands=(("docker", "unpause", container),))
    rows = ["".join(text for text, _ in row) for row in RemedyQuestion(remedy, "y").asked(44)]
    assert "".join(rows[2:5]).replace(" ", "").startswith(f"dockerunpause{container}")
