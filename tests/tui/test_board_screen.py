"""The board: orders, what is live, the mouse, the run beside the list, attaching."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from shown import MakeApp, screen_text, show, text_of
from textual.pilot import Pilot
from waiting import settled

from monitor.model import Liveness, Status
from monitor.status_model import EtaView, RunStatus
from tui.actions import Action
from tui.app import LanewatchApp
from tui.launching.values import Choice
from tui.memory_bar import memory_forecast
from tui.run_order import ORDERS, URGENT
from tui.screens.board import BoardScreen
from tui.screens.confirm_stop import ConfirmStopScreen
from tui.screens.help import HelpScreen
from tui.screens.pick import PickScreen
from tui.screens.run import RunScreen
from tui.widgets.key_bar import KeyBar
from tui.widgets.machine_strip import MachineStrip
from tui.widgets.run_card import RunCard
from tui.widgets.run_table import RunTable


@pytest.fixture
def three(training: RunStatus, states: dict[str, RunStatus]) -> tuple[RunStatus, ...]:
    """A run that trains, one that stalls, one that is over."""
    other = replace(states["stalled"], run="b-run", name="beta", lane="unsloth", step_s=9.0)
    return training, other, states["finished"]


Board = Callable[..., AbstractAsyncContextManager[tuple[LanewatchApp, Pilot[None]]]]


@pytest.fixture
def board(make_app: MakeApp, snap_of: Any) -> Board:
    """Shows these runs in an app of its own, made with what is handed in."""

    @asynccontextmanager
    async def board(
        *runs: RunStatus, size: tuple[int, int] = (100, 24), **handed: Any
    ) -> AsyncIterator[tuple[LanewatchApp, Pilot[None]]]:
        app = make_app(**handed)
        async with app.run_test(size=size) as pilot:
            await show(pilot, snap_of(*runs))
            yield app, pilot

    return board


def names(app: Any) -> list[str | None]:
    return [run.name for run in app.screen.query_one(RunTable).visible_runs]


async def test_o_goes_through_the_orders_and_comes_back(
    board: Board, three: tuple[RunStatus, ...]
) -> None:
    async with board(*three, size=(190, 24)) as (app, pilot):
        seen = {}
        for _ in ORDERS:
            table = app.screen.query_one(RunTable)
            seen[table.order.name] = names(app)
            assert table.selected is not None
            assert table.selected.name == "p65"  # the cursor stays on its run
            await pilot.press("o")
        assert app.screen.query_one(RunTable).order is ORDERS[0]
        await pilot.press("O")
        assert app.screen.query_one(RunTable).order is ORDERS[-1]
    assert seen["what needs you first"] == ["beta", "p65", "demo"]
    assert seen["by name"] == ["beta", "demo", "p65"]
    assert seen["by lane"] == ["p65", "demo", "beta"]
    assert seen["furthest first"] == ["demo", "p65", "beta"]
    assert seen["slowest first"] == ["p65", "beta", "demo"]
    assert seen["soonest to end first"] == ["p65", "beta", "demo"]  # unknown comes last


async def test_a_click_on_a_heading_sorts_by_it(board: Board, three: tuple[RunStatus, ...]) -> None:
    async with board(*three) as (app, pilot):
        table = app.screen.query_one(RunTable)
        await pilot.click(RunTable, offset=(4, 0))
        assert names(app)[0] == "beta"
        assert "verdict↑" in table.plain()[0]
        await pilot.click(RunTable, offset=(4, 0))
        assert names(app)[0] == "p65"
        await pilot.click(RunTable, offset=(0, 0))  # the margin sorts nothing
        assert table.order is ORDERS[0]


async def test_l_shows_what_is_live_only(
    board: Board, snap_of: Any, three: tuple[RunStatus, ...]
) -> None:
    async with board(*three) as (app, pilot):
        await pilot.press("l")
        assert names(app) == ["p65", "beta"]
        await show(pilot, snap_of(three[2]))
        assert "No run is live" in text_of(app, RunCard)
        await pilot.press("escape")
        assert names(app) == ["demo"]


async def test_the_mouse_selects_opens_and_scrolls(
    board: Board, three: tuple[RunStatus, ...]
) -> None:
    async with board(*three) as (app, pilot):
        table = app.screen.query_one(RunTable)
        await pilot.click(RunTable, offset=(10, 2))
        assert table.selected is three[1]
        app.screen.action_move(-1)  # type: ignore[attr-defined]
        screen = app.screen
        assert isinstance(screen, BoardScreen)
        screen.on_mouse_scroll_down()
        assert table.selected is three[2]
        screen.on_mouse_scroll_up()
        assert table.selected is three[0]
        await pilot.click(RunTable, offset=(10, 1), times=2)
        await pilot.pause()
        assert isinstance(app.screen, RunScreen)


async def test_a_second_click_opens_however_slowly_it_comes(
    board: Board, three: tuple[RunStatus, ...]
) -> None:
    async with board(*three) as (app, pilot):
        screen = app.screen
        table = screen.query_one(RunTable)
        assert table.selected is three[0]
        await pilot.click(RunTable, offset=(10, 1), times=1)
        assert app.screen is screen  # a key had chosen it, no click
        await pilot.click(RunTable, offset=(10, 2), times=1)
        await pilot.press("k")
        await pilot.click(RunTable, offset=(10, 2), times=1)
        assert app.screen is screen  # chosen anew, since a key went elsewhere
        assert table.selected is three[1]
        await pilot.click(RunTable, offset=(10, 2), times=1)
        await pilot.pause()
        assert isinstance(app.screen, RunScreen)


async def test_beside_a_wide_list_stands_the_whole_verdict_of_the_selected_run(
    board: Board, three: tuple[RunStatus, ...]
) -> None:
    async with board(*three, size=(120, 40)) as (app, pilot):
        await pilot.press("j")
        card = app.screen.query_one(RunCard)
        text = " ".join(" ".join(card.plain()).split())
        assert "no progress for 11 min, past the limit of 10 min, while the process lives" in text
        assert "evidence" in text
        assert card.region.x > app.screen.query_one(RunTable).region.x
        await pilot.resize_terminal(90, 24)
        await pilot.pause()
        assert card.region.y > app.screen.query_one(RunTable).region.y


async def test_the_card_has_its_rows_at_once_when_the_terminal_is_resized(
    board: Board, three: tuple[RunStatus, ...]
) -> None:
    async with board(*three, size=(90, 24)) as (app, pilot):
        card = app.screen.query_one(RunCard)

        async def rows_at(width: int, height: int) -> tuple[int, int]:
            await pilot.resize_terminal(width, height)
            at_once = card.size.height
            await show(pilot, app.snapshot)
            return at_once, card.size.height

        for size in ((90, 40), (90, 20), (90, 14), (90, 30), (120, 30), (90, 40), (50, 18)):
            at_once, settled = await rows_at(*size)
            assert at_once == settled, size
        taller, _ = await rows_at(90, 40)
        assert taller == 16


async def test_the_forecast_is_in_words(board: Board, snap_of: Any, training: RunStatus) -> None:
    assert training.memory is not None
    rising = replace(training, memory=replace(training.memory, minutes_to_limit=14.2))
    async with board(training, rising, size=(120, 30)) as (app, pilot):
        assert "reaches the limit in 14 min" in text_of(app, MachineStrip)
        await show(pilot, snap_of(training))
        assert "limit in" not in text_of(app, MachineStrip)


def test_no_forecast_of_what_is_over(training: RunStatus, states: dict[str, RunStatus]) -> None:
    assert training.memory is not None
    memory = replace(training.memory, minutes_to_limit=3.0)
    assert memory_forecast([replace(states["finished"], memory=memory)]) == ""
    slow = replace(training, memory=replace(memory, minutes_to_limit=500.0))
    assert memory_forecast([slow]) == "rises slowly"
    assert memory_forecast([slow, replace(training, memory=memory)]).endswith("in 3 min")


def test_every_verdict_has_its_urgency() -> None:
    assert set(URGENT) == {each.value for each in Liveness}


def test_what_is_not_known_is_last_in_every_order(training: RunStatus) -> None:
    known = replace(training, eta=EtaView(seconds=1, low_s=1, high_s=1, finish_wall=0))
    unknown = replace(training, eta=None, memory=None, step_s=None, lane=None)
    for order in ORDERS[3:]:
        if order.name != "furthest first":
            assert order.sort([unknown, known])[-1] is unknown, order.name


class FakeAttach:
    """Two candidates; attaching the second fails."""

    def candidates(self) -> Iterator[Choice]:
        yield Choice(
            value="11", title="11  python a.py", note="unsloth", detail="log: /a\ntotal: 9"
        )
        yield Choice(value="12", title="12  python b.py", note="watched as x")

    def attach(self, pid: str) -> str:
        if pid == "12":
            raise RuntimeError("process 12 has [ended] meanwhile")
        return "foreign-20260521-101112-3fa2"


async def test_a_lists_the_candidates_and_attaches_one(board: Board) -> None:
    async with board(size=(100, 30), attach=FakeAttach) as (app, pilot):
        await pilot.press("a")
        await settled(pilot, lambda: "b.py" in screen_text(app))
        assert isinstance(app.screen, PickScreen)
        assert "log: /a" in screen_text(app)
        await pilot.press("down", "enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert any("12 has [ended]" in each.message for each in app._notifications)
        await pilot.press("a")
        await settled(pilot, lambda: "a.py" in screen_text(app))
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert isinstance(app.screen, RunScreen)


async def test_where_nothing_trains_that_is_said(board: Board) -> None:
    class Nothing(FakeAttach):
        def candidates(self) -> Iterator[Choice]:
            yield from ()

    class Fails(FakeAttach):
        def candidates(self) -> Iterator[Choice]:
            raise OSError("/proc is not mounted")

    for desk, said in ((Nothing, "No training was found"), (Fails, "/proc is not mounted")):
        async with board(size=(100, 30), attach=desk) as (app, pilot):
            await pilot.press("a")
            await settled(pilot, lambda said=said: said in screen_text(app))


async def test_a_read_only_view_attaches_nothing(board: Board) -> None:
    async with board(size=(80, 24), attach=FakeAttach, read_only=True) as (app, pilot):
        await pilot.press("a")
        await pilot.pause()
        assert isinstance(app.screen, BoardScreen)


async def test_a_run_that_stopped_is_resumed(
    board: Board, states: dict[str, RunStatus], training: RunStatus
) -> None:
    resumed: list[tuple[str, Action]] = []

    def act(run: str, action: Action) -> str:
        if resumed:
            raise RuntimeError("the box is [busy]")
        resumed.append((run, action))
        return "resumed"

    async with board(states["failed"], training, states["finished"], size=(120, 30), act=act) as (
        app,
        pilot,
    ):
        assert "R resume" in screen_text(app)
        await pilot.press("R")
        assert "It goes on from checkpoint 210, attempt 2; 31 iterations" in screen_text(app)
        await pilot.press("escape", "R", "y")
        await app.workers.wait_for_complete()
        await pilot.press("j", "R", "j", "R")  # one trains, one is at its end
        assert isinstance(app.screen, BoardScreen)
        assert "R resume" not in screen_text(app)
        await pilot.press("g", "R", "y")
        await app.workers.wait_for_complete()
        await pilot.pause()
        told = [each.message for each in app._notifications]
    assert resumed == [(states["failed"].run, Action.RESUME)]
    assert any("was not resumed: the box is [busy]" in each for each in told)


async def test_a_click_on_a_key_is_that_key(board: Board, training: RunStatus) -> None:
    async with board(training, size=(120, 30), stop=lambda run, save: None) as (app, pilot):

        async def clicked(word: str) -> None:
            (shown,) = app.screen.query_one(KeyBar).plain()
            await pilot.click(KeyBar, offset=(shown.index(word), 0))
            await pilot.pause()
            await pilot.pause()

        await clicked("live only")
        assert app.screen.query_one(RunTable).live_only
        await clicked("help")
        assert isinstance(app.screen, HelpScreen)
        await clicked("esc")
        await clicked("stop")
        assert isinstance(app.screen, ConfirmStopScreen)
        await pilot.press("escape")
        bar = app.screen.query_one(KeyBar)
        assert bar.key_at(5000) is None


async def test_the_card_of_a_run_that_is_over_names_it_whole_and_gives_no_false_age(
    make_app: MakeApp, snap_of: Any, states: Any
) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of(states["finished"]))
        card = text_of(pilot.app, RunCard)
        assert "60, took 0.2s" in card
        assert states["finished"].run in "".join(card.split())


async def test_a_name_of_control_characters_shifts_no_column(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    evil = replace(training, run="b", name="\x1b[31mred\x07\u200b\u202e")
    async with make_app().run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(training, evil))
        heading, *rows = pilot.app.screen.query_one(RunTable).plain()
        at = heading.index("stage")
        assert [row[at : at + 5] for row in rows[:2]] == ["train", "train"]


async def test_the_cursor_stays_with_a_run_that_was_acted_on(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    other = replace(training, run="nemo-20260521-090000-aaaa", name="other")
    over = replace(training, verdict=Liveness.STOPPED, status=Status.STOPPED)
    async with make_app(stop=lambda *_: None).run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(training, other))
        await pilot.press("s")
        await pilot.pause()
        await pilot.press("escape")
        await show(pilot, snap_of(other, over))  # it sank below the live one
        assert pilot.app.screen.query_one(RunTable).selected == over
        await pilot.press("g")
        assert pilot.app.screen.query_one(RunTable).selected == other


async def test_a_run_that_waits_is_taken_out_of_the_queue_and_has_nothing_to_save(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    queued = replace(training, status=Status.QUEUED, verdict=Liveness.STARTING)
    stopped: list[tuple[str, bool]] = []
    app = make_app(stop=lambda run, save: stopped.append((run, save)))
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(queued))
        await pilot.press("s")
        await pilot.pause()
        assert "take it out of the queue" in screen_text(app)
        assert "without saving" not in screen_text(app)
        await pilot.press("y")
        await app.workers.wait_for_complete()
    assert [run for run, _ in stopped] == [queued.run]
