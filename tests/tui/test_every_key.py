"""Every key of every screen does something that can be seen: none is bound in vain, none is lost.

What the command palette offers by name does something as well.

The tables of pressed.py say what comes before a key, so that its effect shows. A key that is bound
and has no row there, or the other way round, fails.
"""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from compared import make_run
from desks import FakeDesk
from fabricated_diagnoses import DEADLOCK, STOPPED
from pressed import MANY, NOT_HERE, ROWS, STATE, Attach, Settings
from run_states import full_detail, run_in
from shown import MakeApp, show
from textual.binding import Binding
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input
from waiting import settled

import tui.screens
import tui.widgets
from tui.actions import Action, question
from tui.app import LanewatchApp
from tui.launching.values import Choice
from tui.looked import write_looked
from tui.screens.base import StateScreen
from tui.screens.board import BoardScreen
from tui.screens.commands_here import commands_of
from tui.screens.compare import CompareScreen
from tui.screens.confirm_action import ConfirmActionScreen
from tui.screens.confirm_look import ConfirmLookScreen
from tui.screens.confirm_remedy import ConfirmRemedyScreen
from tui.screens.confirm_stop import ConfirmStopScreen
from tui.screens.diagnosis import DiagnosisScreen
from tui.screens.events import EventsScreen
from tui.screens.help import HelpScreen
from tui.screens.launch import LaunchScreen
from tui.screens.log import LogScreen
from tui.screens.pick import PickScreen
from tui.screens.run import RunScreen
from tui.screens.settings import SettingsScreen
from tui.widgets.key_bar import KeyBar, name_of, shown_as
from tui.widgets.line_view import LineView

RUN = "nemo-20260521-101112-3fa2"
OTHER = "unsloth-20260520-220000-9c01"
NOW = 1_779_370_200.0
SAME_LOOKS = 3
UNOFFERED: dict[type, set[str]] = {DiagnosisScreen: {"1", "c"}}
"""Keys that only tell why they do nothing here: what was found is not for them."""


def bound(kind: type) -> set[str]:
    """The keys that *kind* itself binds."""
    found = vars(kind).get("BINDINGS", ())
    return {key for each in found for key in binding(each).key.split(",")}


def binding(each: Any) -> Binding:
    return each if isinstance(each, Binding) else Binding(*each)


def all_kinds() -> Iterator[type]:
    """The app, every screen and every widget of ours."""
    yield LanewatchApp
    for package in (tui.screens, tui.widgets):
        for module in pkgutil.iter_modules(package.__path__):
            there = importlib.import_module(f"{package.__name__}.{module.name}")
            for each in vars(there).values():
                ours = isinstance(each, type) and each.__module__ == there.__name__
                if ours and issubclass(each, (Screen, Widget)):
                    yield each


@pytest.mark.parametrize("kind", [each for each in all_kinds() if bound(each)])
def test_each_key_that_is_bound_has_a_row(kind: type) -> None:
    assert bound(kind) == {*ROWS.get(kind, {})} | NOT_HERE.get(kind, set())


class Stage:
    """An app that notes what leaves it, and what of it can be seen."""

    def __init__(self, app: LanewatchApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot
        self.left: list[Any] = []
        """Copied, told, done, exited: what no widget shows."""

    def seen(self) -> tuple[Any, ...]:
        """Everything a person could tell two moments apart by."""
        front = self.app.screen
        views = [
            (type(each).__name__, tuple(each._shown), each.display)
            for each in front.query(LineView)
        ]
        typed = [each.value for each in front.query(Input)]
        told = [each.message for each in self.app._notifications]
        return (id(front), views, typed, told, tuple(self.left), self.app._exit)

    async def quiet(self) -> tuple[Any, ...]:
        """What is seen once some looks in a row see the same: a thread may have more to tell."""
        last: tuple[Any, ...] | None = None
        same_looks = 0

        def same() -> bool:
            nonlocal last, same_looks
            before, last = last, self.seen()
            same_looks = same_looks + 1 if before == last else 0
            return same_looks == SAME_LOOKS

        await settled(self.pilot, same)
        assert last is not None
        return last

    async def open(self, make: MakeScreen, snapshot: Any) -> None:
        """Show a new screen of that kind, on top of the first one and nothing else."""
        while len(self.app.screen_stack) > 1:
            self.app.pop_screen()
        self.app._notifications.clear()
        self.app.marked_runs.clear()
        self.app.push_screen(make(snapshot.runs[0]))
        await show(self.pilot, snapshot)
        await self.app.workers.wait_for_complete()

    async def press(self, key: str) -> None:
        await self.pilot.press(key)
        await self.pilot.pause()

    async def come_to(self, before: tuple[str, ...]) -> tuple[Any, ...]:
        """Press the keys *before*; what is seen then."""
        for each in before:
            await self.press(each)
            await self.quiet()
        return await self.quiet()

    async def does_something(self, key: str, before: tuple[str, ...]) -> None:
        was = await self.come_to(before)
        await self.press(key)
        try:
            await settled(self.pilot, lambda: self.seen() != was)
        except AssertionError:
            pytest.fail(f"{key} does nothing that can be seen")

    def offered(self, key: str) -> str | None:
        """The action that the palette would offer here for *key*."""
        front = self.app.screen
        assert isinstance(front, StateScreen)
        actions = {shown: action for _, shown, action in front.commands()}
        return actions.get(shown_as(key))

    async def choose(self, action: str) -> None:
        """Take the command that is *action* from the palette."""
        await self.press("ctrl+p")
        assert isinstance(self.app.screen, PickScreen)
        self.app.screen.list.select(action)
        chosen = self.app.screen.list.selected
        assert chosen is not None
        assert chosen.value == action
        await self.press("enter")

    async def does_something_by_name(self, key: str, before: tuple[str, ...]) -> bool:
        """False where the palette does not offer here what *key* does."""
        was = await self.come_to(before)
        action = self.offered(key)
        if action is None:
            return False
        await self.choose(action)
        try:
            await settled(self.pilot, lambda: self.seen() != was)
        except AssertionError:
            pytest.fail(f"{action} does nothing that can be seen")
        return True


@asynccontextmanager
async def staged(
    make_app: MakeApp,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int] = (100, 20),
    root: Path | None = None,
) -> AsyncIterator[Stage]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
    left: list[Any] = []

    def act(run: str, action: Action) -> str:
        left.append((run, action))
        return "done"

    app = make_app(
        stop=lambda run, save: left.append((run, save)),
        act=act,
        launch=lambda: FakeDesk(looked=MANY),
        attach=Attach,
        settings=Settings,
    )
    monkeypatch.setattr(app, "copy_to_clipboard", left.append)
    monkeypatch.setattr(app, "action_suspend_process", lambda: left.append("suspended"))
    monkeypatch.setattr(app, "action_redraw", lambda: left.append("drawn anew"))
    monkeypatch.setattr(app, "exit", lambda *_, **__: left.append("exit"))
    app.root = root or tmp_path
    async with app.run_test(size=size) as pilot:
        stage = Stage(app, pilot)
        stage.left = left
        yield stage


@pytest.fixture
def night(tmp_path: Path, states: Any, snap_of: Any, details: Any) -> Callable[..., Any]:
    """Files of two runs, and a snapshot of them with the first one in a state."""
    logs = tmp_path / RUN / "logs"
    logs.mkdir(parents=True)
    lines = [f"INFO step={at} loss={2 - at / 500:.3f} " + "x" * 120 for at in range(300)]
    for name in ("train", "merge"):
        (logs / f"{name}.log").write_text("\n".join((name, *lines)) + "\n")
    events = "".join(
        f'{{"wall_s": {NOW - 60 * at}, "source": "watcher", "kind": "{kind}", "text": "no {at}",'
        f' "verdict": "{"stalled" if at % 2 else "log-stuck"}"}}\n'
        for at, kind in ((at, "verdict" if at % 3 else "note") for at in range(40))
    )
    for name in (RUN, OTHER):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "events.jsonl").write_text(events)

    def of(state: str = "training") -> Any:
        write_looked(tmp_path, NOW - 600)
        first = run_in(state, states)
        assert first is not None
        more = [] if first.run == OTHER else [states["failed"]]
        detail = full_detail(first, details(first))
        return snap_of(first, *more, states["finished"], detail=detail)

    return of


Staged = Callable[..., Any]


@pytest.fixture
def on_stage(make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Staged:
    return lambda **options: staged(make_app, tmp_path, monkeypatch, **options)


MakeScreen = Callable[[Any], Screen[Any]]
"""A screen, when it is given the status of the first run."""


def diagnosed(_: Any) -> Screen[Any]:
    found = itertools.cycle((DEADLOCK, STOPPED))
    return DiagnosisScreen(RUN, Path("/runs"), look=lambda _: next(found), act=lambda _: "done")


def picker(_: Any) -> Screen[Any]:
    choices = tuple(Choice(value=str(at), title=f"choice {at}") for at in range(40))
    return PickScreen("which?", choices)


SCREENS: dict[type, MakeScreen] = {
    LanewatchApp: lambda _: BoardScreen(),
    BoardScreen: lambda _: BoardScreen(),
    RunScreen: lambda status: RunScreen(status.run),
    LaunchScreen: lambda _: LaunchScreen(FakeDesk(looked=MANY)),  # type: ignore[arg-type]
    PickScreen: picker,
    LogScreen: lambda _: LogScreen(RUN, stage="train"),
    EventsScreen: lambda _: EventsScreen(None),
    DiagnosisScreen: diagnosed,
    SettingsScreen: lambda _: SettingsScreen(Settings()),  # type: ignore[arg-type]
    HelpScreen: lambda _: HelpScreen(),
    ConfirmActionScreen: lambda status: ConfirmActionScreen(question(Action.KILL, status)),
    ConfirmStopScreen: ConfirmStopScreen,
    ConfirmLookScreen: lambda _: ConfirmLookScreen("It pauses the trainer."),
}


@pytest.mark.parametrize("kind", SCREENS)
async def test_each_key_does_something(on_stage: Staged, night: Any, kind: type) -> None:
    async with on_stage() as stage:
        for key, before in ROWS[kind].items():
            snapshot = night(STATE.get(key, "training") if kind is RunScreen else "training")
            await stage.open(SCREENS[kind], snapshot)
            await stage.does_something(key, before)


@pytest.mark.parametrize("kind", [each for each in SCREENS if issubclass(each, StateScreen)])
async def test_each_key_that_has_a_name_does_something_by_it(
    on_stage: Staged, night: Any, kind: type[StateScreen]
) -> None:
    named = {key for _, key, _ in commands_of(kind.BINDINGS)}
    by_name = set()
    async with on_stage() as stage:
        for key, before in ROWS[kind].items():
            if shown_as(key) in named:
                snapshot = night(STATE.get(key, "training") if kind is RunScreen else "training")
                await stage.open(SCREENS[kind], snapshot)
                if await stage.does_something_by_name(key, before):
                    by_name.add(shown_as(key))
    assert by_name == named - NOT_HERE.get(kind, set()) - UNOFFERED.get(kind, set())


async def test_each_key_of_a_comparison(on_stage: Staged, night: Any, tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "runs", name).root.name for name in ("one", "two")]
    async with on_stage(root=tmp_path / "runs") as stage:
        for key, before in ROWS[CompareScreen].items():
            await stage.open(lambda _: CompareScreen(runs), night())
            front = stage.app.screen
            await settled(stage.pilot, lambda front=front: front.comparison)
            await stage.does_something(key, before)


async def test_each_key_before_a_remedy(on_stage: Staged, night: Any) -> None:
    async with on_stage() as stage:
        for key, before in ROWS[ConfirmRemedyScreen].items():
            # What ends a run is done with a capital letter, what does not with y.
            found = DEADLOCK if key == "X" else STOPPED
            remedy = next(each for each in found.conclusion.remedies if each.commands)
            await stage.open(lambda _, remedy=remedy: ConfirmRemedyScreen(remedy), night())
            await stage.does_something(key, before)


@pytest.mark.parametrize("kind", SCREENS)
async def test_a_key_that_is_bound_to_nothing_is_found_out(
    on_stage: Staged, night: Any, kind: type
) -> None:
    """What a screen does by itself, once it is quiet, is not taken for what the key did."""
    async with on_stage() as stage:
        await stage.open(SCREENS[kind], night())
        was = await stage.quiet()
        await stage.press("f12")
        assert await stage.quiet() == was


@pytest.mark.parametrize("kind", [*SCREENS, CompareScreen])
async def test_each_key_in_the_bottom_line_is_bound(
    on_stage: Staged, night: Any, kind: type
) -> None:
    """A click on it presses that key, so a name that is none would do nothing."""
    make = SCREENS.get(kind, lambda _: CompareScreen([RUN, OTHER]))
    async with on_stage(size=(300, 30)) as stage:
        await stage.open(make, night())
        await stage.quiet()
        front = stage.app.screen
        there = bound(type(front)) | bound(LanewatchApp)
        there |= {"enter"} if front.query(Input) else set()
        for bar in front.query(KeyBar):
            at = 0
            for text, tone in bar._shown[0]:
                for each in re.finditer(r"\S+", text) if tone == "strong" else ():
                    assert name_of(each[0]) in {*there, None}, each
                    assert bar.key_at(at + each.start()) == name_of(each[0])
                at += len(text)
            assert "".join(text for text, _ in bar._shown[0]).split() == [
                word for pair in bar.keys for word in " ".join(pair).split()
            ]
