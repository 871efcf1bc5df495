"""Help, command palette, settings, themes and the terminal's title."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from shown import MakeApp, screen_text, show, text_of
from textual.widgets import Input

from monitor.model import Liveness, Status
from monitor.status_model import AlertsView, ForeignView, RunStatus
from tui.glyphs import ASCII, UNICODE
from tui.launching.settings_desk import ChannelLine
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
from tui.terminal_title import title_of, title_sequence
from tui.themes import ABOUT, THEMES
from tui.widgets.help_text import HelpText
from tui.widgets.pick_list import PickList
from tui.widgets.run_table import RunTable
from tui.widgets.settings_view import SettingsView


class FakeSettings:
    """A user's configuration in memory, and two alert channels."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {"ui.at_limit": "notify"}
        self.tested: list[str] = []

    def get(self, key: str) -> str | None:
        return self.kept.get(key)

    def put(self, key: str, value: str) -> None:
        self.kept[key] = value

    def channels(self) -> tuple[ChannelLine, ...]:
        return ChannelLine("phone", "ntfy://…"), ChannelLine("office", "mailto://…")

    def test(self, channel: str) -> str:
        self.tested.append(channel)
        if channel == "office":
            raise RuntimeError("the [server] said no")
        return f"{channel}: a test message was sent"


async def opened(app: Any, pilot: Any, snapshot: Any) -> SettingsView:
    await show(pilot, snapshot)
    await pilot.press("comma")
    await app.workers.wait_for_complete()
    await pilot.pause()
    assert isinstance(app.screen, SettingsScreen)
    return app.screen.view


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
"""How the help names a key, where that is not its own name; aliases go with what they stand for."""


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
        for gone in ("launch a run", "asks first and say what is lost", "put in force", "kill it"):
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


@pytest.mark.parametrize("theme", THEMES)
async def test_a_theme_is_in_force_at_once_and_kept(
    make_app: MakeApp, snap_of: Any, training: RunStatus, theme: str
) -> None:
    desk = FakeSettings()
    app = make_app(settings=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        view = await opened(app, pilot, snap_of(training))
        assert ABOUT[theme][:20] in " ".join(view.plain())
        await pilot.press(*["j"] * THEMES.index(theme), "enter")
        await app.workers.wait_for_complete()
        await pilot.press("escape")
        await pilot.pause()
        await pilot.pause()
        assert app.theme_name == theme
        assert app.glyphs == (ASCII if theme == "ascii" else UNICODE)
        assert screen_text(app).isascii() is (theme == "ascii")
    assert desk.kept["ui.theme"] == theme


def test_the_kept_theme_is_there_from_the_first_paint(make_app: MakeApp) -> None:
    assert make_app(theme="light").theme == "textual-light"
    assert make_app(theme="ascii").glyphs is ASCII


async def test_the_memory_limit_is_set(make_app: MakeApp, snap_of: Any) -> None:
    desk = FakeSettings()
    app = make_app(settings=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        view = await opened(app, pilot, snap_of())
        assert [each.key for each in view.settings if each.chosen] == ["dark", "notify"]
        await pilot.press(*["down"] * (len(THEMES) + 2), "space")
        await app.workers.wait_for_complete()
        assert [each.key for each in view.settings if each.chosen] == ["dark", "stop-now"]
    assert desk.kept["ui.at_limit"] == "stop-now"


async def test_alert_channels_are_shown_and_tested(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    desk = FakeSettings()
    app = make_app(settings=lambda: desk)
    failing = replace(training, alerts=AlertsView(channels_failing={"office": "no route"}))
    async with app.run_test(size=(100, 30)) as pilot:
        view = await opened(app, pilot, snap_of(failing))
        text = "\n".join(view.plain())
        assert "ntfy://…" in text
        assert "fails: no route" in text
        await pilot.press("end", "t")
        await app.workers.wait_for_complete()
        await pilot.press("k", "t", "up", "tab", "shift+tab", "home", "t")
        await app.workers.wait_for_complete()
        await pilot.pause()
        told = [each.message for each in app._notifications]
    assert set(desk.tested) <= {"phone", "office"}
    assert "office" in desk.tested
    assert any("the [server] said no" in each for each in told)


async def test_the_mouse_takes_a_setting(make_app: MakeApp, snap_of: Any) -> None:
    desk = FakeSettings()
    app = make_app(settings=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(app, pilot, snap_of())
        await pilot.click(SettingsView, offset=(10, 0))  # a heading is no setting
        assert app.theme_name == "dark"
        await pilot.click(SettingsView, offset=(10, 2))
        await pilot.pause()
        assert app.theme_name == "light"


async def test_a_read_only_view_changes_no_setting(make_app: MakeApp, snap_of: Any) -> None:
    desk = FakeSettings()
    app = make_app(settings=lambda: desk, read_only=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of())
        await pilot.press("comma")
        await pilot.pause()
        assert isinstance(app.screen, BoardScreen)
        assert any("read-only" in each.message for each in app._notifications)
        app.set_theme("light")
        await app.workers.wait_for_complete()
    assert app.theme_name == "light", "for as long as it is open"
    assert "ui.theme" not in desk.kept


async def test_settings_that_cannot_be_read_are_told(make_app: MakeApp, snap_of: Any) -> None:
    class Broken(FakeSettings):
        def channels(self) -> tuple[ChannelLine, ...]:
            raise RuntimeError("alerts.toml is [broken]")

        def put(self, key: str, value: str) -> None:
            raise RuntimeError("the disk is [full]")

    app = make_app(settings=Broken)
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(app, pilot, snap_of())
        await pilot.press("j", "enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        told = [each.message for each in app._notifications]
        assert app.theme_name == "light"
    assert any("alerts.toml is [broken]" in each for each in told)
    assert any("ui.theme is not kept: the disk is [full]" in each for each in told)


def test_the_title_is_the_verdict_of_who_needs_a_person_first(
    snap_of: Any, training: RunStatus, states: dict[str, RunStatus]
) -> None:
    finished, stalled = states["finished"], replace(states["stalled"], run="b", name=None)
    assert title_of(snap_of(), None) == "lanewatch"
    assert title_of(snap_of(finished), None) == "lanewatch"
    assert title_of(snap_of(training, finished), None) == "training 39% p65"
    assert title_of(snap_of(training, stalled), None) == "stalled 39% b"
    assert title_of(snap_of(training, stalled), training.run) == "training 39% p65"
    assert title_of(snap_of(finished), finished.run) == "finished 100% demo"


def test_a_title_cannot_leave_its_sequence(snap_of: Any, training: RunStatus) -> None:
    evil = replace(training, name="x\x07\x1b]0;y\x1b\\" + "z" * 200)
    sequence = title_sequence(title_of(snap_of(evil), None))
    assert sequence.count("\x07") == sequence.count("\x1b") == 1
    assert len(sequence) < 80
