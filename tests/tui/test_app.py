"""The app, driven by posting the messages that its sampler would post: no thread, no sleeping."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from shown import MakeApp, screen_text, show, text_of
from textual.widgets import Input

from monitor.model import Evidence, Liveness, Status
from monitor.status_model import ForeignView, KeeperView, RunStatus, WatcherView
from tui.messages import SampleFailed
from tui.screens.board import BoardScreen
from tui.screens.confirm_stop import ConfirmStopScreen
from tui.screens.help import HelpScreen
from tui.screens.run import RunScreen
from tui.widgets.key_bar import KeyBar
from tui.widgets.machine_strip import MachineStrip
from tui.widgets.progress_view import ProgressView
from tui.widgets.run_table import RunTable
from tui.widgets.verdict_view import VerdictView


@pytest.fixture
def many(training: RunStatus) -> tuple[RunStatus, ...]:
    """Thirty runs, newest first."""
    return tuple(replace(training, run=f"nemo-{at:04d}", name=None) for at in range(30))


async def test_an_empty_board_says_how_to_launch(make_app: MakeApp, snap_of: Any) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of())
        assert "lanewatch demo" in text_of(app, VerdictView)
        assert "lanewatch launch" in text_of(app, VerdictView)


async def test_the_board_gives_verdict_progress_and_cost_of_each_run(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app()
    async with app.run_test(size=(190, 24)) as pilot:
        await show(pilot, snap_of(training))
        row = app.screen.query_one(RunTable).plain()[1]
    for part in ("● training", "p65", "nemo", "train 4/5", "241/625", "32.4", "3h 27m", "210, 16m"):
        assert part in row
    assert "61.0 GiB" in row


@pytest.mark.parametrize("width", [38, 50, 64, 80, 100, 120, 160])
async def test_no_board_is_wider_than_the_terminal(
    make_app: MakeApp, snap_of: Any, training: RunStatus, width: int
) -> None:
    app = make_app()
    async with app.run_test(size=(width, 20)) as pilot:
        await show(pilot, snap_of(training))
        rows = app.screen.query_one(RunTable).plain()
    assert all(len(row) <= width - 2 for row in rows)
    assert "● training" in rows[1]


async def test_a_machine_without_a_gpu_has_no_gpu_line(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    assert training.machine is not None
    bare = replace(training.machine, gpus=())
    app = make_app()
    async with app.run_test(size=(100, 24)) as pilot:
        await show(pilot, snap_of(training, machine=bare))
        assert "gpu" not in text_of(app, MachineStrip)
        await show(pilot, snap_of(training))
        assert "gpu 0" in text_of(app, MachineStrip)
        assert "61.0/110 GiB" in text_of(app, MachineStrip)


@pytest.mark.parametrize(
    ("level", "said"), [("warn", "△ warn"), ("high", "▲ high"), ("limit", "■ limit")]
)
async def test_the_level_of_the_memory_is_glyph_and_word_not_only_a_colour(
    make_app: MakeApp, snap_of: Any, training: RunStatus, level: str, said: str
) -> None:
    app = make_app()
    async with app.run_test(size=(100, 24)) as pilot:
        await show(pilot, snap_of(training))
        assert level not in text_of(app, MachineStrip)
        await show(pilot, snap_of(training, memory_level=level))
        assert f"61.0/110 GiB {said}" in text_of(app, MachineStrip)


async def test_moving_on_the_board(
    make_app: MakeApp, snap_of: Any, many: tuple[RunStatus, ...]
) -> None:
    app = make_app()
    async with app.run_test(size=(100, 20)) as pilot:
        await show(pilot, snap_of(*many))
        table = app.screen.query_one(RunTable)

        async def selected_after(*keys: str) -> str:
            await pilot.press(*keys)
            assert table.selected is not None
            return table.selected.run

        assert await selected_after("j") == "nemo-0001"
        assert await selected_after("down", "k") == "nemo-0001"
        assert await selected_after("up", "up") == "nemo-0000"
        assert await selected_after("G") == "nemo-0029"
        assert any("nemo-0029" in row for row in table.plain())
        assert await selected_after("g") == "nemo-0000"
        assert await selected_after("end") == "nemo-0029"
        assert await selected_after("home") == "nemo-0000"
        assert await selected_after("pagedown", "pageup") == "nemo-0000"


async def test_the_cursor_stays_on_its_run_when_a_newer_one_comes(
    make_app: MakeApp, snap_of: Any, many: tuple[RunStatus, ...]
) -> None:
    app = make_app()
    async with app.run_test(size=(100, 20)) as pilot:
        await show(pilot, snap_of(*many[1:5]))
        await pilot.press("j")
        await show(pilot, snap_of(*many[:5]))
        selected = app.screen.query_one(RunTable).selected
        assert selected is not None
        assert selected.run == "nemo-0002"


async def test_the_filter_narrows_the_board_and_escape_takes_it_back(
    make_app: MakeApp, snap_of: Any, many: tuple[RunStatus, ...]
) -> None:
    app = make_app()
    async with app.run_test(size=(100, 20)) as pilot:
        await show(pilot, snap_of(*many))
        table = app.screen.query_one(RunTable)
        await pilot.press("slash", "0", "2", "9")
        assert [run.run for run in table.visible_runs] == ["nemo-0029"]
        await pilot.press("enter")
        assert not app.screen.query(Input)
        await pilot.press("enter")
        assert isinstance(app.screen, RunScreen)
        await pilot.press("escape", "escape")
        assert isinstance(app.screen, BoardScreen)
        assert len(table.visible_runs) == 30


async def test_enter_opens_a_run_and_escape_goes_back(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, RunScreen)
        assert "241/625" in text_of(app, ProgressView)
        await pilot.press("escape")
        assert isinstance(app.screen, BoardScreen)


@pytest.mark.parametrize(
    ("watcher", "said"),
    [
        pytest.param(WatcherView(pid=9, alive=False, age_s=40.0), "lost 40s ago", id="died"),
        pytest.param(WatcherView(pid=9, alive=True, age_s=40.0), "lost 40s ago", id="hangs"),
        pytest.param(WatcherView(), "is not running", id="never began"),
    ],
)
async def test_the_watchers_silence_is_seen_on_both_screens(
    make_app: MakeApp, snap_of: Any, training: RunStatus, watcher: WatcherView, said: str
) -> None:
    status = replace(training, watcher=watcher)
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of(status, opened=status))
        assert "unwatched" in text_of(app, RunTable)
        await pilot.press("enter")
        await pilot.pause()
        assert f"watcher {said}: lanewatch watch {status.run}" in text_of(app, VerdictView)


@pytest.mark.parametrize("kept", [True, False])
async def test_a_queued_run_is_not_said_to_be_unwatched_while_its_keeper_waits(
    make_app: MakeApp, snap_of: Any, training: RunStatus, kept: bool
) -> None:
    queued = replace(
        training,
        status=Status.QUEUED,
        stage=None,
        watcher=WatcherView(),
        keeper=KeeperView(pid=9, alive=kept),
    )
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of(queued, opened=queued))
        board = text_of(app, RunTable)
        assert "queued" in board
        assert ("unwatched" in board) is not kept


async def test_foreign_text_is_shown_letter_by_letter(
    make_app: MakeApp, snap_of: Any, details: Any, training: RunStatus
) -> None:
    evil = "[bold]x[/] [/nope] \x1b[31mred\x1b]0;title\x07"
    status = replace(
        training,
        name=evil,
        reason=evil,
        evidence=(Evidence(signal=evil, detail=evil, supports=evil),),
        problems=(evil,),
    )
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of(status, detail=details(status, (evil,) * 3)))
        await pilot.press("enter")
        await pilot.pause()
        app.post_message(SampleFailed(evil))
        await pilot.pause()
        svg = app.export_screenshot()
        assert "[bold]x[/]" in screen_text(app)
    assert "\x1b" not in svg
    assert "·[31mred·]0;title·" in svg.replace("&#160;", " ")


async def test_a_run_is_stopped_from_the_board_too(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    stopped: list[tuple[str, bool]] = []
    app = make_app(stop=lambda run, save: stopped.append((run, save)))
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(training))
        assert "s stop" in text_of(app, KeyBar)
        await pilot.press("s", "s")  # a key that bounces answers no question
        await app.workers.wait_for_complete()
        assert stopped == []
        await pilot.press("y")
        await app.workers.wait_for_complete()
    assert stopped == [(training.run, True)]


async def test_a_foreign_run_is_marked_and_not_stopped_from_here(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    stopped: list[str] = []
    foreign = replace(
        training,
        run="foreign-20260521-101112-3fa2",
        kind="foreign",
        status=None,
        stage_index=None,
        keeper=KeeperView(),
        foreign=ForeignView(pid=4711, container="train"),
    )
    app = make_app(stop=lambda run, save: stopped.append(run))
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(foreign))
        shown = screen_text(app)
        assert "foreign" in shown.replace(foreign.run, "")
        assert "keeper is gone" not in shown
        assert "s stop" not in text_of(app, KeyBar)
        await pilot.press("s", "s")
        await pilot.pause()
        assert not isinstance(app.screen, ConfirmStopScreen)
        told = [each.message for each in app._notifications]
    assert stopped == []
    assert told
    assert all("did not start this run" in each for each in told)


async def test_a_stop_that_fails_is_told_and_harms_nothing(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    def refuse(run: str, save: bool) -> None:
        raise OSError(f"no keeper [/x] for {run}")

    app = make_app(run=training.run, stop=refuse)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        await pilot.press("s", "y")
        await app.workers.wait_for_complete()
        await pilot.pause()
        told = [each.message for each in app._notifications]
    assert told == [f"{training.run} was not stopped: no keeper [/x] for {training.run}"]


async def test_help_lists_every_key_and_closes_again(make_app: MakeApp, snap_of: Any) -> None:
    app = make_app()
    async with app.run_test(size=(80, 200)) as pilot:
        await show(pilot, snap_of())
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        shown = screen_text(app)
        for key in ("enter", "esc", "j k", "g G", "/", "n:", "s ", "?", "q "):
            assert key in shown
        assert all(liveness.value in shown for liveness in Liveness)
        await pilot.press("j", "k", "G", "g", "question_mark")
        assert isinstance(app.screen, BoardScreen)


async def test_ctrl_c_quits_nothing_and_q_says_that_runs_go_on(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(training))
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert app.is_running
        assert any("q quits" in each.message for each in app._notifications)
        await pilot.press("q")
        await pilot.pause()
    assert app.return_code == 0
    assert app.farewell() == f"{training.run} goes on; come back with: lanewatch {training.run}"


@pytest.mark.parametrize(
    ("size", "state"),
    [
        pytest.param((40, 10), "training", id="40x10"),
        pytest.param((20, 5), "stalled", id="20x5"),
        pytest.param((10, 3), "finished", id="10x3"),
        pytest.param((1, 1), "training", id="1x1"),
    ],
)
async def test_a_tiny_terminal_crashes_nothing(
    make_app: MakeApp,
    snap_of: Any,
    states: dict[str, RunStatus],
    state: str,
    size: tuple[int, int],
) -> None:
    status = states[state]
    app = make_app(stop=lambda run, save: None)
    async with app.run_test(size=size) as pilot:
        await show(pilot, snap_of(status, opened=status))
        await pilot.press("enter")
        await pilot.pause()
        await pilot.resize_terminal(120, 40)
        await pilot.resize_terminal(*size)
        await pilot.press("s", "escape", "question_mark", "escape", "slash", "x", "escape")
        assert app.is_running


@pytest.mark.parametrize(
    ("value", "monochrome"),
    [pytest.param("1", True, id="set"), pytest.param("", False, id="empty counts as unset")],
)
def test_no_color(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, value: str, monochrome: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", value)
    assert make_app().no_color is monochrome


async def test_a_bare_console_gets_ascii(
    make_app: MakeApp, snap_of: Any, training: RunStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "linux")
    app = make_app(run=training.run)
    async with app.run_test(size=(100, 40)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        assert screen_text(app).isascii()
        await pilot.press("escape")
        await pilot.pause()
        assert screen_text(app).isascii()
