"""What the palette offers on each screen, and what of it that screen has no use for now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from desks import FakeDesk
from fabricated_diagnoses import DEADLOCK
from pressed import Settings
from shown import MakeApp, show
from textual.binding import Binding
from textual.pilot import Pilot
from waiting import settled

from monitor.status_model import RunStatus
from tui.actions import Action
from tui.screens.commands_here import commands_of, keys_of, without
from tui.screens.compare import CompareScreen
from tui.screens.confirm_action import ConfirmActionScreen
from tui.screens.confirm_remedy import ConfirmRemedyScreen
from tui.screens.confirm_stop import ConfirmStopScreen
from tui.screens.diagnosis import DiagnosisScreen
from tui.screens.events import EventsScreen
from tui.screens.launch import LaunchScreen
from tui.screens.log import LogScreen
from tui.screens.pick import PickScreen
from tui.screens.run import RunScreen
from tui.screens.settings import SettingsScreen

BINDINGS = [
    Binding("slash,f", "ask('/')", "search down", show=False),
    Binding("n", "again(True)", "the next match", show=False),
    ("escape", "back", "leave"),
    Binding("j,down", "move(1)", show=False),
]


def test_commands_are_the_keys_that_have_words() -> None:
    assert commands_of(BINDINGS) == (
        ("search down", "/", "ask('/')"),
        ("the next match", "n", "again(True)"),
        ("leave", "esc", "back"),
    )
    assert keys_of(BINDINGS) == {"/", "f", "n", "esc", "j", "down"}


def test_some_can_be_left_out_by_their_action_or_its_name() -> None:
    commands = commands_of(BINDINGS)
    assert without(commands) == commands
    assert without(commands, "again", "back") == commands[:1]
    assert without(commands, "ask('?')", "ask('/')") == commands[1:]


async def offered(pilot: Pilot[None]) -> dict[str, str]:
    """The key of each command, by its words."""
    await pilot.press("ctrl+p")
    await pilot.pause()
    screen = pilot.app.screen
    assert isinstance(screen, PickScreen)
    found = {each.title: each.note for each in screen.list.shown}
    await pilot.press("escape")
    await pilot.pause()
    return found


OTHER = ("theme:", "open ")


def own(found: dict[str, str]) -> list[str]:
    """Without themes and runs, which are offered everywhere."""
    return [each for each in found if not each.startswith(OTHER)]


async def choose(pilot: Pilot[None], words: str) -> None:
    await pilot.press("ctrl+p")
    await pilot.pause()
    screen = pilot.app.screen
    assert isinstance(screen, PickScreen)
    value = next(each.value for each in screen.list.shown if each.title == words)
    screen.list.select(value)
    await pilot.press("enter")
    await pilot.pause()


@pytest.mark.parametrize(
    ("screen", "has", "has_not"),
    [
        pytest.param(
            lambda status: LogScreen(status.run, stage="train"),
            {"search down": "/", "wrap long lines, or not": "w", "follow, or hold still": "F",
             "save what is shown to a new file": "s",
             "compare the marked runs with the one in front": ""},
            {"log: the whole log of the run in front", "the next match",
             "mark the run in front for a comparison"},
            id="log",
        ),
        pytest.param(
            lambda status: CompareScreen([status.run, "other"]),
            {"graph: loss first": "1", "hold the others against the next run": "b",
             "copy the comparison as Markdown": "c"},
            {"compare the marked runs with the one in front", "events of the run in front"},
            id="compare",
        ),
        pytest.param(
            lambda _: EventsScreen(None),
            {"severity: urgent only": "3", "all of this is seen": "m"},
            {"open the chosen event's run", "events: what happened while you were away"},
            id="events, none yet",
        ),
        pytest.param(
            lambda _: SettingsScreen(Settings()),
            {"put in force what is under the cursor": "enter", "add an alert channel": "a",
             "events: what happened while you were away": "v"},
            {"settings: theme, memory limit, alert channels",
             "send a test to the channel under the cursor",
             "remove the channel under the cursor; asks first"},
            id="settings",
        ),
        pytest.param(
            lambda _: LaunchScreen(FakeDesk()),
            {"launch it": "L", "its next choice": "right", "back to what the recipe says": "x"},
            {"log: the whole log of the run in front", "launch a run"},
            id="launch",
        ),
    ],
)  # fmt: skip
async def test_each_screen_has_its_own(
    make_app: MakeApp, snap_of: Any, training: RunStatus, screen: Any, has: Any, has_not: Any
) -> None:
    app = make_app(settings=Settings)
    async with app.run_test(size=(100, 30)) as pilot:
        app.push_screen(screen(training))
        await show(pilot, snap_of(training))
        found = await offered(pilot)
        assert {words: found.get(words) for words in has} == has
        assert not has_not & found.keys()
        assert len(own(found)) == len(set(own(found)))
        assert "quit; every run goes on" in found


async def test_graphs_and_matches_are_offered_where_there_are_some(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app(run=training.run)
    async with app.run_test(size=(100, 40)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        found = await offered(pilot)
        assert found["graphs: zoom in"] == "+"
        assert "tab: overview" not in found, "it is in front"
        assert "the next match, upwards" not in found
        await choose(pilot, "tab: log")
        found = await offered(pilot)
        assert "graphs: zoom in" not in found
        assert found["tab: overview"] == "1"
        await pilot.press("slash", *"step", "enter")
        assert "the next match, upwards" in await offered(pilot)


async def test_what_is_chosen_asks_where_the_key_asks(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    done: list[Any] = []

    def act(run: str, action: Action) -> str:
        done.append(action)
        return "done"

    app = make_app(run=training.run, stop=lambda run, save: done.append(save), act=act)
    async with app.run_test(size=(100, 40)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        await choose(pilot, "stop the run; asks first")
        assert isinstance(app.screen, ConfirmStopScreen)
        await pilot.press("escape")
        await choose(pilot, "kill the run; asks first")
        assert isinstance(app.screen, ConfirmActionScreen)
        assert done == []
        await pilot.press("y")
        await settled(pilot, lambda: done == [Action.KILL])


async def test_a_read_only_view_refuses_by_name_what_it_refuses_by_key(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app(
        run=training.run, read_only=True, stop=lambda *_: None, act=lambda *_: "", settings=Settings
    )
    async with app.run_test(size=(100, 40)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        found = await offered(pilot)
        assert not [each for each in found if "asks first" in each or "settings" in each]
        # What was offered before it became so, by whatever way, is refused by the action itself.
        screen = app.screen
        assert isinstance(screen, RunScreen)
        for action in ("ask('kill')", "ask('resume')", "stop", "app.settings"):
            await app.run_action(action, screen)
            await pilot.pause()
            assert app.screen is screen, action


@pytest.mark.parametrize("read_only", [False, True])
async def test_remedies_are_offered_by_what_they_do(
    make_app: MakeApp, snap_of: Any, training: RunStatus, read_only: bool
) -> None:
    app = make_app(stop=lambda *_: None, read_only=read_only)
    async with app.run_test(size=(100, 40)) as pilot:
        app.push_screen(DiagnosisScreen(training.run, Path("/runs"), look=lambda _: DEADLOCK))
        await show(pilot, snap_of(training))
        await app.workers.wait_for_complete()
        await pilot.pause()
        found = await offered(pilot)
        doable = [each.do for each in DEADLOCK.conclusion.remedies if each.commands]
        assert doable
        wanted = [] if read_only else [f"do: {each}; asks first" for each in doable]
        assert [each for each in found if "asks first" in each and "do: " in each] == wanted
        assert ("look for native calls; asks first" in found) is not read_only
        if not read_only:
            await choose(pilot, wanted[0])
            assert isinstance(app.screen, ConfirmRemedyScreen)


async def test_a_board_without_runs_offers_nothing_of_a_run(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of())
        found = await offered(pilot)
        assert not [each for each in found if "selected run" in each or "in front" in each]
        await show(pilot, snap_of(replace(training, name="p65")))
        found = await offered(pilot)
        assert found["open the selected run"] == "enter"
        assert found["mark the run in front for a comparison"] == "space"
