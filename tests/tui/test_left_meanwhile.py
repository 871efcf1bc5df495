"""What a thread answers after the person has gone on to another screen: it is told all the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from desks import FakeDesk
from fabricated_diagnoses import DEADLOCK, HIDDEN, RUN
from launch_form import opened, pause_until
from pressed import Settings
from shown import MakeApp, show

from monitor.diagnosis.record import Diagnosis
from runners.sidecar import Offer
from tui.actions import Action
from tui.app import LanewatchApp
from tui.diagnosis_looks import How
from tui.launching.settings_desk import ChannelLine
from tui.launching.values import Choice
from tui.screens.board import BoardScreen
from tui.screens.confirm_action import ConfirmActionScreen
from tui.screens.confirm_look import ConfirmLookScreen
from tui.screens.confirm_stop import ConfirmStopScreen
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


async def test_what_came_of_a_runs_action_is_told_after_its_screen_was_left(
    make_app: MakeApp, snap_of: Any, training: Any
) -> None:
    go_on = threading.Event()

    def act(_run: str, _action: Action) -> str:
        go_on.wait(60)
        raise RuntimeError("no [keeper] answers")

    app = make_app(stop=lambda run, save: None, act=act)
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        app.open_run(training.run)
        await show(pilot, snap_of(training, opened=training))
        await pilot.press("K")
        await pause_until(pilot, lambda: isinstance(app.screen, ConfirmActionScreen))
        await pilot.press("y", "escape")
        await pause_until(pilot, lambda: isinstance(app.screen, BoardScreen))
        go_on.set()
        await pause_until(pilot, lambda: "refused: no [keeper] answers" in told(app))


async def test_a_remedy_that_failed_does_not_end_the_look_that_was_begun_since(
    make_app: MakeApp, snap_of: Any
) -> None:
    looks, acts = threading.Event(), threading.Event()

    def look(_how: How) -> Diagnosis:
        looks.wait(60)
        return DEADLOCK

    def act(_remedy: Any) -> str:
        acts.wait(60)
        raise RuntimeError("no room")

    app = make_app(stop=lambda run, save: None)
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of())
        screen = DiagnosisScreen(RUN, Path("/runs"), look=look, act=act)
        app.push_screen(screen)
        looks.set()
        await pause_until(pilot, lambda: screen.view.found is DEADLOCK)
        looks.clear()
        screen.do(lambda: screen._carry_out(DEADLOCK.conclusion.remedies[0]))
        await pilot.press("d")
        await pause_until(pilot, lambda: screen.view.found is None)
        acts.set()
        await pause_until(pilot, lambda: "It was not done: no room" in told(app))
        assert "no room" not in screen.view.note
        looks.set()
        await pause_until(pilot, lambda: screen.view.found is DEADLOCK)


async def test_a_container_is_offered_on_the_diagnosis_alone(
    make_app: MakeApp, snap_of: Any
) -> None:
    """On another screen the next key would start it."""
    go_on = threading.Event()

    def find() -> Offer:
        go_on.wait(60)
        return Offer("trainer", "1", "2", "image", "py-spy")

    app = make_app(stop=lambda run, save: None)
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of())
        screen = DiagnosisScreen(RUN, Path("/runs"), look=lambda how: HIDDEN, find=find)
        app.push_screen(screen)
        await pause_until(pilot, lambda: screen.view.found is HIDDEN)
        await pilot.press("c", "question_mark")
        await pause_until(pilot, lambda: isinstance(app.screen, HelpScreen))
        go_on.set()
        await pause_until(pilot, lambda: "A container can look" in told(app))
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("escape", "c")
        await pause_until(pilot, lambda: isinstance(app.screen, ConfirmLookScreen))


class SlowAttach:
    """Attaches when it is let."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def candidates(self) -> Iterator[Choice]:
        yield Choice(value="1", title="python train.py")

    def attach(self, _pid: str) -> str:
        self.go_on.wait(60)
        return "foreign-20260521-133001-00aa"


@pytest.mark.parametrize("by_then", ["on the board", "typing a filter", "asked something"])
async def test_what_was_attached_opens_over_no_question(
    make_app: MakeApp, snap_of: Any, training: Any, by_then: str
) -> None:
    desk = SlowAttach()
    app = make_app(stop=lambda run, save: None, launch=FakeDesk, attach=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of(training))
        await pilot.press("a")
        await pause_until(
            pilot, lambda: getattr(app.screen, "list", None) and app.screen.list.shown
        )
        await pilot.press("enter")
        await pause_until(pilot, lambda: isinstance(app.screen, BoardScreen))
        if by_then == "on the board":
            desk.go_on.set()
            await pause_until(pilot, lambda: isinstance(app.screen, RunScreen))
            return
        await pilot.press("slash" if "typing" in by_then else "s")
        front = app.screen
        typing = "typing" in by_then
        assert isinstance(front, BoardScreen if typing else ConfirmStopScreen)
        desk.go_on.set()
        await pause_until(pilot, lambda: "00aa is watched now" in told(app))
        assert app.screen is front
