"""What a thread answers after the person has gone on to another screen: it is told all the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from desks import FakeDesk
from launch_form import opened, pause_until
from pressed import Settings
from shown import MakeApp, show

from tui.app import LanewatchApp
from tui.launching.settings_desk import ChannelLine
from tui.screens.board import BoardScreen
from tui.screens.diagnosis import DiagnosisScreen
from tui.screens.help import HelpScreen
from tui.screens.run import RunScreen


class SlowDesk(FakeDesk):
    """Launches when it is let."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.go_on = threading.Event()

    def start(self, said: Sequence[str], tell: Callable[[str], None]) -> str:
        self.go_on.wait(60)
        return super().start(said, tell)


def told(app: LanewatchApp) -> str:
    return " | ".join(each.message for each in app._notifications)


@pytest.mark.parametrize(
    ("refuse", "says"),
    [(None, "unsloth-20260521-133001-00aa was launched."), ("the box is [busy/]", "[busy/]")],
)
async def test_a_launch_whose_form_was_left_is_told(
    make_app: MakeApp, snap_of: Any, refuse: str | None, says: str
) -> None:
    desk = SlowDesk(refuse=refuse)
    app = make_app(launch=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot, snap_of())
        await pilot.press("L", "escape")
        await pause_until(pilot, lambda: isinstance(app.screen, BoardScreen))
        desk.go_on.set()
        await pause_until(pilot, lambda: says in told(app))
        assert isinstance(app.screen, BoardScreen)


async def test_a_launch_opens_its_run_from_whatever_was_opened_on_the_form(
    make_app: MakeApp, snap_of: Any
) -> None:
    desk = SlowDesk()
    app = make_app(launch=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot, snap_of())
        await pilot.press("L", "question_mark")
        await pause_until(pilot, lambda: isinstance(app.screen, HelpScreen))
        desk.go_on.set()
        await pause_until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert [type(each) for each in app.screen_stack] == [BoardScreen, RunScreen]


async def test_a_remedy_that_failed_after_its_screen_was_left_is_told(
    make_app: MakeApp, snap_of: Any, training: Any, tmp_path: Path
) -> None:
    go_on = threading.Event()

    def act(_remedy: Any) -> str:
        go_on.wait(60)
        raise RuntimeError("no [room] left")

    app = make_app(stop=lambda run, save: None)
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of(training))
        screen = DiagnosisScreen(training.run, tmp_path, look=lambda how: None, act=act)
        app.push_screen(screen)
        await pilot.pause()
        screen.do(lambda: screen._carry_out(None))  # type: ignore[arg-type]
        await pilot.press("escape")
        await pause_until(pilot, lambda: isinstance(app.screen, BoardScreen))
        go_on.set()
        await pause_until(pilot, lambda: "It was not done: no [room] left" in told(app))


class Unkept(Settings):
    """Keeps nothing, and tests a channel when it is let."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def channels(self) -> tuple[ChannelLine, ...]:
        return (ChannelLine("phone", "ntfy"),)

    def test(self, channel: str) -> str:
        self.go_on.wait(60)
        return f"{channel}: a test message was sent"


async def test_a_channels_test_is_told_after_the_settings_were_left(
    make_app: MakeApp, snap_of: Any
) -> None:
    desk = Unkept()
    app = make_app(settings=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of())
        await pilot.press("comma")
        screen: Any = app.screen
        await pause_until(pilot, lambda: screen._channels)
        await pilot.press("G", "t", "escape")
        await pause_until(pilot, lambda: isinstance(app.screen, BoardScreen))
        desk.go_on.set()
        await pause_until(pilot, lambda: "phone: a test message was sent" in told(app))
