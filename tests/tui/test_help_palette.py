"""Help and the command palette: every key is named, and only what can be done is offered."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from shown import MakeApp, show, text_of
from textual.widgets import Input

from monitor.model import Liveness, Status
from monitor.status_model import ForeignView, RunStatus
from tui.screens.board import BoardScreen
from tui.screens.compare import CompareScreen
from tui.screens.diagnosis import DiagnosisScreen
from tui.screens.events import EventsScreen
from tui.screens.help import HelpScreen
from tui.screens.launch import LaunchScreen
from tui.screens.log import LogScreen
from tui.screens.pick import PickScreen
from tui.screens.run import RunScreen
from tui.screens.settings import SettingsScreen
from tui.widgets.help_text import HelpText
from tui.widgets.pick_list import PickList
from tui.widgets.run_table import RunTable


async def test_help_is_searched(make_app: MakeApp, snap_of: Any) -> None:
    app = make_app()
    async with app.run_test(size=(80, 40)) as pilot:
        await show(pilot, snap_of())
        await pilot.press("question_mark")
        await pilot.pause()
        await pilot.press("slash", *"smoke")
        await pilot.pause()
        shown = text_of(app, HelpText)
        assert "a smoke run first" in shown
        assert "launch" in shown
        assert "quit" not in shown
        await pilot.press("enter")
        assert not app.screen.query(Input)
        await pilot.press("escape")
        assert "quit" in text_of(app, HelpText)
        await pilot.press("slash", *"xyzzy", "enter")
        assert "Nothing here holds that" in text_of(app, HelpText)
        await pilot.press("escape", "escape")
        assert isinstance(app.screen, BoardScreen)


async def test_help_scrolls_by_keys_and_wheel(make_app: MakeApp, snap_of: Any) -> None:
    app = make_app()
    async with app.run_test(size=(80, 20)) as pilot:
        await show(pilot, snap_of())
        await pilot.press("question_mark")
        await pilot.pause()
        page = app.screen
        assert isinstance(page, HelpScreen)
        first = text_of(app, HelpText)
        await pilot.press("pagedown", "space", "ctrl+d")
        assert text_of(app, HelpText) != first
        await pilot.press("pageup", "ctrl+u", "home")
        assert text_of(app, HelpText) == first
        page.on_mouse_scroll_down()
        assert text_of(app, HelpText) != first
        page.on_mouse_scroll_up()
        assert text_of(app, HelpText) == first
        await pilot.press("end")
        assert "lost" in text_of(app, HelpText)
        await pilot.press("q")
        assert isinstance(app.screen, BoardScreen)
        assert app.is_running


async def test_the_palette_does_what_it_names(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        await pilot.press("ctrl+p")
        await pilot.pause()
        assert isinstance(app.screen, PickScreen)
        await pilot.press(*"live", "enter")
        await pilot.pause()
        await pilot.pause()
        assert app.screen.query_one(RunTable).live_only
        await pilot.press("ctrl+p")
        await pilot.pause()
        await pilot.press(*"open p65")
        await pilot.pause()
        assert "training 241/625" in text_of(app, PickList)
        await pilot.press("enter")
        await pilot.pause()
        await pilot.pause()
        assert isinstance(app.screen, RunScreen)
        await pilot.press("ctrl+p")
        await pilot.pause()
        await pilot.press(*"all keys", "enter")
        await pilot.pause()
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("ctrl+p")  # not over a page that asks something
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)


async def test_a_read_only_palette_offers_no_launch(make_app: MakeApp, snap_of: Any) -> None:
    for read_only in (True, False):
        app = make_app(launch=lambda: None, read_only=read_only)
        async with app.run_test(size=(100, 30)) as pilot:
            await show(pilot, snap_of())
            await pilot.press("ctrl+p")
            await pilot.pause()
            assert ("launch a run" in text_of(app, PickList)) is not read_only


SAID = {
    "slash": "/", "question_mark": "?", "ampersand": "&", "less_than_sign": "<",
    "greater_than_sign": ">", "left_square_bracket": "[", "right_square_bracket": "]",
    "plus": "+", "equals_sign": "+", "minus": "-", "escape": "esc", "comma": ",",
    "down": "arrows", "up": "arrows", "home": "Home", "end": "End", "shift+tab": "tab",
    "pagedown": "page keys", "pageup": "page keys", "ctrl+d": "page keys", "ctrl+u": "page keys",
    "ctrl+f": "page keys", "ctrl+b": "page keys", "question_mark ": "?",
    "backspace": "x", "delete": "x",
}  # fmt: skip


@pytest.mark.parametrize(
    "screen",
    [
        BoardScreen, LaunchScreen, RunScreen, LogScreen, CompareScreen, EventsScreen,
        SettingsScreen, DiagnosisScreen,
    ],
)  # fmt: skip
async def test_help_names_every_key_of_the_screen_it_is_opened_from_and_first(screen: Any) -> None:
    view = HelpText()
    view.begin_with(screen.HELP, read_only=False)
    first, *others = view.groups
    assert first[0].startswith(screen.HELP)
    everywhere = next(each for each in others if each[0] == "everywhere")
    told = " ".join(f"{key} {text}" for key, text in (*first[1], *everywhere[1]))
    words = {each.strip(",;:()") for each in told.split()} | {"page keys"} & {
        "page keys" if "page keys" in told or "page key" in told else ""
    }
    for low, high in re.findall(r"\b(\d)-(\d)\b", told):
        words |= {str(each) for each in range(int(low), int(high) + 1)}
    keys = [key for each in screen.BINDINGS for key in each.key.split(",")]
    assert [key for key in keys if SAID.get(key, key) not in words | {","}] == []


async def test_help_of_a_read_only_view_leaves_out_what_it_has_not(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app(read_only=True)
    async with app.run_test(size=(100, 200)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        await pilot.press("?")
        await pilot.pause()
        said = text_of(app, HelpText)
        assert said.startswith("board")
        for gone in (
            "launch a run",
            "asks first and say what is lost",
            "put in force",
            "kill it",
            "add an alert channel",
        ):
            assert gone not in said
        assert "show only runs that match" in said


def offers(app: Any) -> str:
    """All that the palette in front offers, also what needs scrolling."""
    assert isinstance(app.screen, PickScreen)
    return "\n".join(each.title for each in app.screen.list.shown)


async def test_the_palette_offers_what_can_be_done_now(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    over = replace(training, run="it's-over", verdict=Liveness.FAILED, status=Status.FAILED)
    for read_only in (True, False):
        app = make_app(read_only=read_only, stop=lambda *_: None, act=lambda *_: "")
        async with app.run_test(size=(100, 60)) as pilot:
            await show(pilot, snap_of(training, over))
            await pilot.press("ctrl+p")
            said = offers(app)
            assert ("stop the selected run" in said) is not read_only
            assert ("settings" in said) is not read_only
            assert "resume the selected run" not in said  # it trains
            await pilot.press(*"open it's", "enter")  # an id that holds a quote
            await pilot.pause()
            await pilot.pause()
            assert isinstance(app.screen, RunScreen)
            app.screen.run = over.run
            await show(pilot, snap_of(training, over, opened=over))
            await pilot.press("ctrl+p")
            await pilot.pause()
            said = offers(app)
            assert ("resume the run" in said) is not read_only
            assert "kill the run" not in said


@pytest.mark.parametrize(
    ("key", "changes", "told"),
    [
        pytest.param("R", {}, "s stops it", id="resume what trains"),
        pytest.param("s", {"verdict": Liveness.FINISHED}, "is over already", id="stop an end"),
        pytest.param("R", {"verdict": Liveness.FINISHED}, "nothing to resume", id="resume an end"),
        pytest.param("e", {"verdict": Liveness.FINISHED, "stages": ()}, "stage merge", id="export"),
        pytest.param("R", {"foreign": ForeignView()}, "did not start this run", id="foreign"),
    ],
)
async def test_a_key_that_is_not_offered_says_why(
    make_app: MakeApp, snap_of: Any, training: RunStatus, key: str, changes: Any, told: str
) -> None:
    status = replace(training, **changes)
    if "verdict" in changes:
        status = replace(status, status=Status.FINISHED)
    app = make_app(stop=lambda *_: None, act=lambda *_: "")
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of(status, opened=status))
        await pilot.press(key)
        await pilot.press("enter")
        await pilot.pause()
        await show(pilot, snap_of(status, opened=status))
        await pilot.press(key)
        assert isinstance(app.screen, RunScreen)
        said = [each.message for each in app._notifications]
        assert len(said) >= 1
        assert all(told in each for each in said)
