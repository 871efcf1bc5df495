"""The screen of one run: its verdict and evidence, its log, its stop; driven by posted messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from shown import MakeApp, screen_text, show, text_of
from textual.widgets._toast import Toast
from waiting import settled

from monitor.model import Liveness
from monitor.status_model import AlertsView, IterationView, RunStatus
from tui.screens.board import BoardScreen
from tui.screens.confirm_stop import ConfirmStopScreen
from tui.screens.run import RunScreen
from tui.widgets.evidence_table import EvidenceTable
from tui.widgets.graph import Graph
from tui.widgets.key_bar import KeyBar
from tui.widgets.line_view import LineView
from tui.widgets.progress_view import ProgressView
from tui.widgets.verdict_view import VerdictView


async def test_the_run_named_on_the_command_line_is_opened_at_once(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app(run=training.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        assert isinstance(app.screen, RunScreen)
        assert "● training" in text_of(app, VerdictView)


async def test_a_verdict_comes_with_its_evidence(
    make_app: MakeApp, snap_of: Any, states: dict[str, RunStatus]
) -> None:
    stuck = states["log-stuck"]
    app = make_app(run=stuck.run)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of(stuck, opened=stuck))
        rows = text_of(app, EvidenceTable).splitlines()
        log = next(row for row in rows if row.startswith("log "))
        assert "1h 7m" in log
        assert "log-stuck" in log
        assert "heartbeat proves iteration 241" in " ".join(text_of(app, VerdictView).split())


async def test_unreadable_files_of_a_run_are_listed(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    status = replace(training, problems=("heartbeat.json is not JSON",))
    app = make_app(run=status.run)
    async with app.run_test(size=(100, 40)) as pilot:
        await show(pilot, snap_of(status, opened=status))
        assert "unreadable: heartbeat.json is not JSON" in text_of(app, EvidenceTable)


async def test_a_run_whose_folder_is_gone_is_said_to_be_gone(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app(run=training.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        await show(pilot, snap_of())
        assert "not on the disk" in text_of(app, VerdictView)
        assert text_of(app, ProgressView).strip() == ""


@pytest.mark.parametrize("key", ["s", "K", "R", "e", "w", "a"])
async def test_a_key_about_a_run_that_is_gone_says_so(
    make_app: MakeApp, snap_of: Any, training: RunStatus, key: str
) -> None:
    app = make_app(run=training.run, stop=lambda *_: None, act=lambda *_: "")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await show(pilot, snap_of(training, opened=training))
        await show(pilot, snap_of())
        await pilot.press(key)
        await settled(pilot, lambda: app.screen.query(Toast))
        assert "its folder is gone" in " ".join(str(app.screen.query_one(Toast).render()).split())


async def test_the_log_follows_until_it_is_scrolled_and_again_from_its_end(
    make_app: MakeApp, snap_of: Any, details: Any, training: RunStatus
) -> None:
    def log(upto: int) -> Any:
        lines = tuple(f"line {at}" for at in range(upto))
        return snap_of(training, detail=details(training, lines))

    app = make_app(run=training.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, log(100))
        assert isinstance(app.screen, RunScreen)
        tail = app.screen.tab.log_tail
        assert tail is not None
        assert tail.plain()[-1] == "line 99"
        await pilot.press("k")
        await show(pilot, log(103))
        assert tail.plain()[-1] == "line 98"
        assert "4 below, G: follow" in tail.plain()[0]
        await pilot.press("G")
        assert tail.plain()[-1] == "line 102"
        await show(pilot, log(104))
        assert "line 103" in tail.plain()
        assert tail.plain()[-1] == ""
        await pilot.press("g")
        assert tail.plain()[1] == "line 0"
        await pilot.press("j", "pagedown", "end")
        assert tail.follow


async def test_searching_the_log(
    make_app: MakeApp, snap_of: Any, details: Any, training: RunStatus
) -> None:
    lines = tuple(f"line {at}{' NaN' if at in (10, 50) else ''}" for at in range(100))
    app = make_app(run=training.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(training, detail=details(training, lines)))
        assert isinstance(app.screen, RunScreen)
        tail = app.screen.tab.log_tail
        assert tail is not None
        await pilot.press("slash", "n", "a", "n", "enter")
        assert "2 matches" in tail.plain()[0]
        await pilot.press("n")
        assert any("line 50 NaN" in row for row in tail.plain())
        await pilot.press("n")
        assert any("line 10 NaN" in row for row in tail.plain())
        assert "1 of 2" in tail.plain()[0]
        await pilot.press("n")
        assert any("line 50 NaN" in row for row in tail.plain())
        await pilot.press("escape")
        assert tail.pattern == ""
        assert isinstance(app.screen, RunScreen)


async def test_the_log_is_searched_by_expression_as_on_its_own_screen(
    make_app: MakeApp, snap_of: Any, details: Any, training: RunStatus
) -> None:
    steps = (f"step={at} loss=1.{at}" for at in range(60))
    lines = (*steps, "Loss is NaN", "a" * 60 + "!")
    app = make_app(run=training.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(training, detail=details(training, lines)))
        assert isinstance(app.screen, RunScreen)
        await pilot.press("5")
        tail = app.screen.tab.log_tail
        assert tail is not None

        async def search(pattern: str) -> str:
            await pilot.press(*["escape"] * bool(tail.pattern), "slash", *pattern, "enter")
            return tail.plain()[0]

        assert "10 matches" in await search("step=4. ")
        await pilot.press("n")
        tones = [span for row in tail._shown for span in row if span[1] == "match"]
        assert ("step=49 ", "match") in tones
        assert "1 match," in await search("Loss")
        assert "61 matches" in await search("loss")
        assert "not a regular expression: missing )" in await search("(loss")
        assert "takes too long: put it more simply" in await search("(a+)+$")
        await show(pilot, snap_of(training, detail=details(training, (*lines, "step=49 again"))))
        assert "takes too long" in tail.plain()[0]
        assert "11 matches" in await search("step=4. ")


async def test_stopping_asks_first_and_says_what_is_lost(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    stopped: list[tuple[str, bool]] = []
    app = make_app(run=training.run, stop=lambda run, save: stopped.append((run, save)))
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        for key, expected in (("escape", []), ("y", [True]), ("X", [True, False])):
            await pilot.press("s")
            await pilot.pause()
            assert isinstance(app.screen, ConfirmStopScreen)
            assert "loses 31 iterations since checkpoint 210" in " ".join(screen_text(app).split())
            await pilot.press(key)
            await app.workers.wait_for_complete()
            await pilot.pause()
            assert [save for _, save in stopped] == expected
    assert {run for run, _ in stopped} == {training.run}


@pytest.mark.parametrize(
    ("state", "options"),
    [
        pytest.param("training", {"read_only": True}, id="read-only"),
        pytest.param("training", {"stop": None}, id="no way to stop given"),
        pytest.param("finished", {}, id="already over"),
    ],
)
async def test_no_stop_where_there_is_nothing_to_stop_or_no_right_to(
    make_app: MakeApp, snap_of: Any, states: dict[str, RunStatus], state: str, options: Any
) -> None:
    def stop(run: str, save: bool) -> None:
        raise AssertionError("must not be called")

    status = states[state]
    app = make_app(run=status.run, **{"stop": stop, **options})
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(status, opened=status))
        assert "s stop" not in text_of(app, KeyBar)
        await pilot.press("s")
        await pilot.pause()
        assert isinstance(app.screen, RunScreen)


async def test_an_unchanged_state_repaints_nothing(
    make_app: MakeApp, snap_of: Any, training: RunStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(run=training.run)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        painted: list[str] = []
        monkeypatch.setattr(
            LineView, "refresh", lambda self, *regions, **_: painted.append(type(self).__name__)
        )
        await show(pilot, snap_of(training, opened=training))
        assert painted == []
        older = tuple(replace(each, age_s=(each.age_s or 0) + 1.0) for each in training.evidence)
        await show(pilot, snap_of(replace(training, evidence=older), opened=training))
        assert painted == []


async def test_forty_by_ten_shows_what_matters_most(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app(run=training.run)
    async with app.run_test(size=(40, 10)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        shown = screen_text(app)
        for part in ("● training", "241/625", "checkpoint 210, 16m ago", "heartbeat", "esc board"):
            assert part in shown
        assert app.screen.query_one(KeyBar).region.bottom == 10


async def test_loss_and_history_are_drawn(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app(run=training.run)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        titles = [graph.plain()[0].split(" ")[0] for graph in app.screen.query(Graph)]
        assert titles == ["loss", "memory", "gpu", "power"]
        drawn = ["".join(graph.plain()[1:]).strip() for graph in app.screen.query(Graph)]
        assert all(drawn)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_finished_smoke_run_says_what_it_projects(
    make_app: MakeApp, snap_of: Any, details: Any, states: dict[str, RunStatus], size: Any
) -> None:
    over = states["finished"]
    told = "625 iterations and 9 saves: 4h 51m naive, 5h 38m x 1.16, save cost unknown"
    app = make_app(run=over.run)
    async with app.run_test(size=size) as pilot:
        detail = replace(details(over), projection=(f"the whole training, {told}",))
        await show(pilot, snap_of(over, detail=detail))
        assert told in " ".join(text_of(app, ProgressView).split())


async def test_what_the_end_does_not_count_is_named_beside_it(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    assert training.eta is not None
    status = replace(training, eta=replace(training.eta, unknown=("save cost",)))
    app = make_app(run=status.run)
    async with app.run_test(size=(140, 40)) as pilot:
        await show(pilot, snap_of(status, opened=status))
        assert "save cost unknown" in text_of(app, ProgressView)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_memory_and_alerts_stand_below_the_verdict(
    make_app: MakeApp, snap_of: Any, states: dict[str, RunStatus], size: Any
) -> None:
    stuck = states["log-stuck"]
    assert stuck.memory is not None
    status = replace(
        stuck,
        memory=replace(stuck.memory, level="high", reason="9.0 GiB left: 101 of 110 GiB used"),
        alerts=AlertsView(pending=("memory-high",)),
    )
    app = make_app(run=status.run)
    async with app.run_test(size=size) as pilot:
        await show(pilot, snap_of(status, opened=status))
        rows = [row.strip() for row in text_of(app, VerdictView).splitlines()]
        assert "▲ memory high: 9.0 GiB left: 101 of 110 GiB used" in rows
        assert f"alert memory-high: lanewatch ack {status.run}" in rows


async def test_details_are_read_of_the_run_in_front_also_after_another_was_opened_on_top(
    make_app: MakeApp, snap_of: Any, training: RunStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(training, run="b-run", name="beta")
    read: list[str | None] = []
    app = make_app(run=training.run)
    monkeypatch.setattr(app, "read_details", read.append)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(training, other))
        app.open_events()
        await pilot.pause()
        app.open_run("b-run")
        await pilot.pause()
        assert read[-1] == "b-run"
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert isinstance(app.screen, RunScreen)
        assert app.screen.run == training.run
        assert read[-1] == training.run
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, BoardScreen)
        assert read[-1] is None


async def test_a_run_that_is_over_counts_its_iterations_not_its_last_stage(
    make_app: MakeApp, snap_of: Any, states: dict[str, RunStatus]
) -> None:
    merged = replace(states["finished"], done=33, done_total=33, unit="tensors")
    unfetched = replace(
        merged,
        verdict=Liveness.FAILED,
        iteration=IterationView(),
        done=5,
        done_total=12,
        unit="files",
    )
    for status, shown in ((merged, "60/60"), (unfetched, "5/12")):
        app = make_app(run=status.run)
        async with app.run_test(size=(80, 24)) as pilot:
            await show(pilot, snap_of(status))
            assert text_of(app, ProgressView).lstrip().startswith(shown)
