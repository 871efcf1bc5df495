"""Every key of a run's screen: tabs, graphs, scrolling, search, and what changes a run."""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from run_states import full_detail, run_in
from shown import MakeApp, screen_text, show, text_of
from textual.pilot import Pilot
from waiting import settled

from monitor.status_model import AlertsView, ForeignView, RunStatus
from tui.actions import Action, offered
from tui.app import LanewatchApp
from tui.screens.board import BoardScreen
from tui.screens.confirm_action import ConfirmActionScreen
from tui.screens.confirm_stop import ConfirmStopScreen
from tui.screens.run import TABS, RunScreen
from tui.screens.run_overview import OverviewTab
from tui.screens.run_tabs import ChartsTab
from tui.widgets.evidence_table import EvidenceTable
from tui.widgets.graph import Graph
from tui.widgets.key_bar import KeyBar
from tui.widgets.tab_bar import TabBar

Done = list[tuple[str, Action]]


@pytest.fixture
def open_run(make_app: MakeApp, snap_of: Any, states: Any, details: Any) -> Any:
    """Open the screen of a run in a state (or of a status), with all its tabs have to show."""

    @asynccontextmanager
    async def opened(state: Any, size: tuple[int, int] = (120, 40), **options: Any) -> Any:
        status = run_in(state, states) if isinstance(state, str) else state
        assert status is not None
        app = make_app(run=status.run, **{"act": lambda run, action: "done", **options})
        async with app.run_test(size=size) as pilot:
            await show(pilot, snap_of(status, detail=full_detail(status, details(status))))
            yield pilot

    return opened


def run_screen(pilot: Pilot[None]) -> RunScreen:
    assert isinstance(pilot.app.screen, RunScreen)
    return pilot.app.screen


def front(pilot: Pilot[None]) -> str:
    """The text of the tab in front."""
    tab = run_screen(pilot).tab
    return "\n".join(row for view in tab.query("LineView") for row in view.plain())  # type: ignore[attr-defined]


async def test_tabs_by_number_and_by_bracket(open_run: Any) -> None:
    signs = {
        "overview": "heartbeat",
        "training": "gradient norm",
        "machine": "of its budget",
        "checkpoints": "next at 280",
        "log": "step=116",
        "events": "the watcher started",
        "recipe": "1860558003c9fd4b5a4723ddaf5efa298f0686287e33c0396c9a95f343c43bd2",
    }
    async with open_run("training") as pilot:
        for number, name in reversed(list(enumerate(TABS, 1))):
            await pilot.press(str(number))
            await settled(pilot, lambda name=name: signs[name] in front(pilot))
            assert f"{number} {name}" in text_of(pilot.app, TabBar)
        await pilot.press("left_square_bracket")
        assert run_screen(pilot).tabs.active == len(TABS) - 1
        await pilot.press("right_square_bracket", "right_square_bracket")
        assert run_screen(pilot).tabs.active == 1


async def test_a_tab_is_not_made_before_it_is_opened(open_run: Any) -> None:
    async with open_run("training") as pilot:
        assert not pilot.app.screen.query(ChartsTab)
        await pilot.press("2")
        await pilot.pause()
        assert len(pilot.app.screen.query(ChartsTab)) == 1
        assert not pilot.app.screen.query_one(OverviewTab).display


async def test_tabs_by_the_mouse(open_run: Any) -> None:
    async with open_run("training", size=(50, 18)) as pilot:
        bar = pilot.app.screen.query_one(TabBar)
        assert bar.plain() == ["1 overview  2  3  4  5  6  7"]
        await pilot.click(TabBar, offset=(bar.plain()[0].index("4"), 0))
        await pilot.pause()
        assert bar.plain() == ["1  2  3  4 checkpoints  5  6  7"]
        await pilot.click(TabBar, offset=(45, 0))
        assert run_screen(pilot).tabs.active == 3


async def test_graphs_are_chosen_scaled_smoothed_and_zoomed(open_run: Any) -> None:
    async with open_run("training") as pilot:
        await pilot.press("2")
        await pilot.pause()
        tab = run_screen(pilot).tab
        assert isinstance(tab, ChartsTab)
        assert [graph.series.title for graph in tab.graphs if graph.series] == [
            "loss",
            "gradient norm",
            "step time",
            "learning rate",
        ]
        whole = tab.graphs[0].plain()
        await pilot.press("tab", "y")
        assert tab.chosen_title == "gradient norm"
        assert "log scale" in tab.graphs[1].plain()[0]
        assert tab.graphs[0].plain()[1:] == whole[1:]
        await pilot.press("shift+tab", "m")
        assert tab.chosen_title == "loss"
        assert "smoothed 0.6" in tab.graphs[0].plain()[0]
        await pilot.press("m", "m", "plus", "plus")
        assert "iterations 177 to 241" in tab.graphs[0].plain()[0]
        await pilot.press("left")
        assert "iterations 145 to 209" in tab.graphs[0].plain()[0]
        await pilot.press("right", "minus", "0", "tab", "y", "shift+tab")
        assert tab.graphs[0].plain() == whole


async def test_a_click_chooses_a_graph(open_run: Any) -> None:
    async with open_run("training") as pilot:
        await pilot.press("3")
        await pilot.pause()
        tab = run_screen(pilot).tab
        assert tab.chosen_title == "memory"
        assert isinstance(tab, ChartsTab)
        await pilot.click(tab.graphs[2], offset=(5, 1))
        assert tab.chosen_title == "power"


async def test_where_not_all_graphs_fit_the_chosen_one_is_shown(open_run: Any) -> None:
    async with open_run("training", size=(80, 24)) as pilot:
        await pilot.press("3")
        await pilot.pause()
        tab = run_screen(pilot).tab
        assert isinstance(tab, ChartsTab)
        for title in ("memory", "gpu", "power", "clock", "temperature", "memory"):
            shown = [each.series.title for each in tab.graphs if each.display and each.series]
            assert tab.chosen_title == title
            assert title in shown
            assert len(shown) < 5
            await pilot.press("tab")
            await pilot.pause()


async def test_lists_scroll_and_say_what_is_hidden(open_run: Any) -> None:
    async with open_run("training", size=(80, 24)) as pilot:
        await pilot.press("7")
        await pilot.pause()

        def head() -> str:
            return front(pilot).splitlines()[0]

        assert "below" in head()
        assert "above" not in head()
        await pilot.press("j")
        assert "1 above" in head()
        await pilot.press("k", "pagedown", "ctrl+d")
        assert "above" in head()
        await pilot.press("G")
        assert "below" not in head()
        assert "canonical" in front(pilot)
        await pilot.press("pageup", "g")
        assert "above" not in head()
        await pilot._post_mouse_events(
            [__import__("textual").events.MouseScrollDown], offset=(5, 12)
        )
        assert "3 above" in head()


async def test_a_search_goes_to_the_log_and_back_and_forth(open_run: Any) -> None:
    async with open_run("training") as pilot:
        await pilot.press("4", "slash", *"step=10", "enter")
        await pilot.pause()
        screen = run_screen(pilot)
        assert TABS[screen.tabs.active] == "log"
        tail = screen.tab.log_tail
        assert tail is not None
        assert "matches" in tail.plain()[0]
        await pilot.press("n", "n")
        assert "of 10" in tail.plain()[0]
        second = tail.plain()[0]
        await pilot.press("n", "N")
        assert tail.plain()[0] == second
        await pilot.press("escape")
        assert tail.pattern == ""
        assert isinstance(pilot.app.screen, RunScreen)


async def test_escape_goes_to_a_board_that_was_not_there_before(open_run: Any) -> None:
    async with open_run("training") as pilot:
        assert len(pilot.app.screen_stack) == 1
        await pilot.press("escape")
        await pilot.pause()
        await pilot.pause()
        assert isinstance(pilot.app.screen, BoardScreen)
        assert "p65" in screen_text(pilot.app)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, RunScreen)
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(pilot.app.screen, BoardScreen)


@pytest.mark.parametrize(
    ("state", "key", "action", "says"),
    [
        pytest.param("training", "K", Action.KILL, "loses 31 iterations since", id="kill"),
        pytest.param("saving", "K", Action.KILL, "stays half-written", id="kill while saving"),
        pytest.param("failed", "R", Action.RESUME, "checkpoint 210, attempt 2; 31", id="resume"),
        pytest.param("finished", "e", Action.EXPORT, "in the place of what is there", id="export"),
        pytest.param("watcher-lost", "w", Action.WATCH, "training itself is not", id="watch"),
        pytest.param("memory", "a", Action.ACK, "No more reminders of: memory-high", id="ack"),
    ],
)
async def test_what_changes_a_run_asks_first_and_says_what_is_lost(
    open_run: Any, state: str, key: str, action: Action, says: str
) -> None:
    done: Done = []

    def act(run: str, what: Action) -> str:
        done.append((run, what))
        return f"{what} is [under way]"

    async with open_run(state, act=act) as pilot:
        run = run_screen(pilot).run
        assert f"{key} {action}" in text_of(pilot.app, KeyBar)
        for answer in ("escape", "q", "n"):
            await pilot.press(key)
            await pilot.pause()
            assert isinstance(pilot.app.screen, ConfirmActionScreen)
            assert says in " ".join(screen_text(pilot.app).split())
            await pilot.press(answer)
            await pilot.pause()
        assert done == []
        await pilot.press(key)
        await pilot.pause()
        await pilot.press("y")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        assert done == [(run, action)]
        assert [each.message for each in pilot.app._notifications] == [f"{action} is [under way]"]


async def test_a_refusal_is_told_in_its_own_words(open_run: Any) -> None:
    def act(run: str, action: Action) -> str:
        raise OSError("the box is taken by [/x]")

    async with open_run("failed", act=act) as pilot:
        await pilot.press("R", "y")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        (told,) = [each.message for each in pilot.app._notifications]
        assert told.startswith(
            "resume of unsloth-20260520-220000-9c01 was refused: the box is taken"
        )


@pytest.mark.parametrize("state", ["training", "failed", "finished", "watcher-lost", "memory"])
async def test_read_only_hides_every_key_that_changes_something(open_run: Any, state: str) -> None:
    async with open_run(state, read_only=True, stop=lambda run, save: None) as pilot:
        bar = text_of(pilot.app, KeyBar)
        assert not [each for each in Action if f" {each}" in bar]
        await pilot.press("s", "K", "R", "e", "w", "a")
        await pilot.pause()
        assert isinstance(pilot.app.screen, RunScreen)


async def test_s_asks_how_to_stop(open_run: Any) -> None:
    stopped: list[bool] = []
    async with open_run("training", stop=lambda run, save: stopped.append(save)) as pilot:
        await pilot.press("s")
        await pilot.pause()
        assert isinstance(pilot.app.screen, ConfirmStopScreen)
        await pilot.press("y")
        await pilot.app.workers.wait_for_complete()
        assert stopped == [True]


def test_nothing_is_offered_that_makes_no_sense(states: dict[str, RunStatus]) -> None:
    def keys(status: RunStatus | None) -> str:
        return "".join(key for key, _ in offered(status))

    training, foreign = states["training"], ForeignView(pid=1)
    assert keys(None) == ""
    assert keys(training) == "sK"
    assert keys(states["finished"]) == "e"
    assert keys(replace(states["finished"], checkpoints=())) == ""
    assert keys(states["failed"]) == "Re"
    assert keys(replace(training, foreign=foreign, status=None)) == ""
    lost = run_in("watcher-lost", dict(states))
    assert lost is not None
    pending = replace(lost, foreign=foreign, status=None, alerts=AlertsView(pending=("stalled",)))
    assert keys(pending) == "aw"


async def test_every_key_is_bound_to_an_action_that_exists(open_run: Any) -> None:
    async with open_run("training") as pilot:
        screen = run_screen(pilot)
        for binding in RunScreen.BINDINGS:
            name = binding.action.partition("(")[0]  # type: ignore[union-attr]
            assert inspect.isfunction(getattr(RunScreen, f"action_{name}")), name
        for key in ("tab", "plus", "0", "y", "m", "j", "n", "left"):
            for number in ("1", "4", "5", "6", "7"):
                await pilot.press(number, key)
        assert isinstance(screen.app, LanewatchApp)
        assert screen.is_mounted


async def test_evidence_that_comes_and_goes_moves_nothing(
    open_run: Any, snap_of: Any, details: Any, training: RunStatus
) -> None:
    fewer = replace(training, evidence=training.evidence[:3])
    async with open_run("training") as pilot:
        table = pilot.app.screen.query_one(EvidenceTable)
        height = table.size.height
        await show(pilot, snap_of(fewer, detail=full_detail(fewer, details(fewer))))
        assert table.size.height == height


async def test_of_a_run_that_is_over_no_signal_is_awaited(open_run: Any, states: Any) -> None:
    for state, said in (("finished", "it is over"), ("training", "no signal has been seen yet")):
        async with open_run(replace(states[state], evidence=())) as pilot:
            assert said in "\n".join(pilot.app.screen.query_one(EvidenceTable).plain())


async def test_a_streaming_log_is_a_glance_on_the_overview_and_whole_on_its_tab(
    open_run: Any, snap_of: Any, details: Any, training: RunStatus
) -> None:
    def log(upto: int) -> Any:
        lines = tuple(f"line {at}" for at in range(upto))
        return snap_of(training, detail=details(training, lines))

    async with open_run("training") as pilot:
        tail = run_screen(pilot).tab.log_tail
        assert tail is not None
        for upto in (200, 220):
            await show(pilot, log(upto))
            assert f"line {upto - 1}" not in tail.plain()
        await show(pilot, log(240))
        assert "line 239" in tail.plain()
        await pilot.press("5")
        await pilot.pause()
        for upto in (280, 300):
            await show(pilot, log(upto))
            whole = run_screen(pilot).tab.log_tail
            assert whole is not None
            assert f"line {upto - 1}" in whole.plain()


async def test_an_older_moment_of_the_run_is_drawn_from_its_first_second(open_run: Any) -> None:
    async with open_run("training") as pilot:
        memory = next(
            each
            for each in pilot.app.screen.query(Graph)
            if each.series is not None and each.series.title == "memory"
        )
        assert "since 10:06" in memory.plain()[0] or memory.size.width < 36
        assert memory.series is not None
        assert memory.series.points[0][0] == pytest.approx(memory.series.left)
