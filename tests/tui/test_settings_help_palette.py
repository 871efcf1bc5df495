"""Help, command palette, settings, themes and the terminal's title."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from shown import MakeApp, screen_text, show

from monitor.model import Liveness
from monitor.status_model import AlertsView, IterationView, RunStatus
from tui.glyphs import ASCII, UNICODE
from tui.launching.settings_desk import ChannelLine
from tui.screens.board import BoardScreen
from tui.screens.settings import SettingsScreen
from tui.terminal_title import title_of, title_sequence
from tui.themes import ABOUT, THEMES
from tui.widgets.run_columns import columns_for
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


"""How the help names a key, where that is not its own name; aliases go with what they stand for."""


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
        await app.workers.wait_for_complete()  # a test that has not begun gives way to a newer one
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


async def test_a_limit_that_could_not_be_kept_is_not_shown_as_taken(
    make_app: MakeApp, snap_of: Any
) -> None:
    class Broken(FakeSettings):
        def put(self, key: str, value: str) -> None:
            raise OSError("config.toml: [Read-only] file system")

    app = make_app(settings=Broken)
    async with app.run_test(size=(100, 30)) as pilot:
        view = await opened(app, pilot, snap_of())
        await pilot.press(*["down"] * (len(THEMES) + 2), "space")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "[Read-only] file system" in next(iter(app._notifications)).message
        assert [each.key for each in view.settings if each.chosen] == ["dark", "notify"]


async def test_a_broken_configuration_does_not_deny_the_channels(
    make_app: MakeApp, snap_of: Any
) -> None:
    class Half(FakeSettings):
        def get(self, key: str) -> str | None:
            raise RuntimeError("config.toml is not TOML")

    class Other(FakeSettings):
        def channels(self) -> tuple[ChannelLine, ...]:
            raise RuntimeError("channels.toml is not TOML")

    app = make_app(settings=Half)
    async with app.run_test(size=(100, 30)) as pilot:
        view = await opened(app, pilot, snap_of())
        assert "phone" in " ".join(view.plain())
    app = make_app(settings=Other)
    async with app.run_test(size=(100, 30)) as pilot:
        view = await opened(app, pilot, snap_of())
        assert [each.key for each in view.settings if each.chosen] == ["dark", "notify"]
        assert "none yet" not in " ".join(view.plain())
        assert "could not be read" in " ".join(view.plain())


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


@pytest.mark.parametrize(
    ("changes", "title", "column"),
    [
        pytest.param({"done": 124, "done_total": 310}, "working merge 40% p65", "40 %", id="part"),
        pytest.param({"done": 124, "done_total": None}, "working merge p65", "124", id="no total"),
        pytest.param({"done": None, "unit": None}, "working merge p65", "625/625", id="not told"),
        pytest.param(
            {"stage": "train", "done": 625, "unit": "iterations"},
            "working 100% p65",
            "625/625",
            id="the training itself",
        ),
        pytest.param(
            {"verdict": Liveness.FAILED, "done": 124, "done_total": 310},
            "failed merge p65",
            "625/625",
            id="failed behind the training",
        ),
    ],
)
def test_the_title_tells_the_progress_of_the_stage_as_the_board_does(
    snap_of: Any, training: RunStatus, changes: dict[str, Any], title: str, column: str
) -> None:
    merging = replace(
        training,
        verdict=Liveness.WORKING,
        stage="merge",
        unit="tensors",
        iteration=IterationView(value=625, total=625),
    )
    run = replace(merging, **changes)
    assert title_of(snap_of(run), run.run) == title
    progress = next(each for each in columns_for(80) if each.title == "progress")
    assert progress.cell(run, 0.0, UNICODE)[0] == column


def test_a_title_cannot_leave_its_sequence(snap_of: Any, training: RunStatus) -> None:
    evil = replace(training, name="x\x07\x1b]0;y\x1b\\" + "z" * 200)
    sequence = title_sequence(title_of(snap_of(evil), None))
    assert sequence.count("\x07") == sequence.count("\x1b") == 1
    assert len(sequence) < 80
