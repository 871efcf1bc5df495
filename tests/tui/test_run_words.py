"""What a run's screen says: what to do first, its checkpoints, its recipe, what an action loses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_states import full_detail, run_in

from monitor.metrics import Save
from monitor.model import Liveness, Status
from monitor.signatures import Signature
from monitor.status_model import (
    CheckpointView,
    ForeignView,
    IterationView,
    KeeperView,
    RunStatus,
    WatcherView,
)
from tui.actions import Action, loss_sentence, question
from tui.chart_view import DEEPEST, ChartView
from tui.checkpoint_timeline import entries, next_save, saves_to_come, sentences
from tui.detail import first_advice
from tui.provenance import provenance
from tui.remedies import _BY_SIGNATURE, first_remedy, without_keys
from tui.screens.run_layout import SHRINK_S, Steadied
from tui.screens.run_series import OVERVIEW, TRAINING, SeriesMaker, series_of
from tui.state import RunDetail

NOW = 1_779_370_200.0
GIB = 1 << 30


def whole(iteration: int, age_s: float = 60.0, size: int = GIB) -> CheckpointView:
    return CheckpointView(iteration=iteration, age_s=age_s, size_bytes=size, complete=True)


def told(status: RunStatus, detail: RunDetail) -> dict[str, str]:
    return dict(sentences(status, detail, entries(status, detail.saves, NOW)))


@pytest.mark.parametrize(
    ("state", "says"),
    [
        pytest.param("training", None, id="nothing while all is well"),
        pytest.param("saving", None, id="a save needs nobody"),
        pytest.param("finished", None, id="nor does the end"),
        pytest.param("log-stuck", "leave the run alone", id="a stuck log"),
        pytest.param("suspect", "look again", id="suspect"),
        pytest.param("stalled", "diagnose (d) says why", id="a stall"),
        pytest.param("memory", "save and stop it now (s)", id="memory comes first"),
        pytest.param("failed", "it goes on from checkpoint 210", id="a failure"),
    ],
)
def test_the_first_thing_to_do(states: Any, state: str, says: str | None) -> None:
    status = run_in(state, states)
    assert status is not None
    remedy = first_remedy(status)
    assert (remedy is None) == (says is None)
    assert says is None or says in (remedy or "")


def test_what_was_stopped_goes_on_from_its_last_whole_checkpoint(states: Any) -> None:
    """Not from where it was stopped, unless it saved there; a smoke run is never resumed."""
    stopped = replace(states["failed"], verdict=Liveness.STOPPED)
    assert first_remedy(stopped) == "resume (R): it goes on from checkpoint 210"
    bare = replace(stopped, checkpoints=())
    assert "from the beginning: no checkpoint is whole" in (first_remedy(bare) or "")
    smoke = first_remedy(replace(stopped, kind="smoke")) or ""
    assert smoke.startswith("launch another (n)")
    assert "(R)" not in smoke
    assert "(n)" not in without_keys(smoke)
    failed = first_remedy(replace(states["failed"], kind="smoke")) or ""
    assert failed.startswith("mend the cause, then launch another (n)")


def test_a_diagnosis_of_this_hang_comes_before_general_advice(states: Any) -> None:
    stalled, training = states["stalled"], states["training"]
    assert first_remedy(stalled, "kill -CONT 4711") == "kill -CONT 4711"
    assert first_remedy(training, "kill -CONT 4711") is None
    assert "(K)" not in without_keys(first_remedy(stalled) or "")


@pytest.mark.parametrize(
    ("signature", "reason", "says"),
    [
        pytest.param(
            "stopped",
            "its process is stopped (state T), `kill -CONT 31` lets it go on",
            "kill -CONT 31 lets it go on",
            id="the trainer is stopped",
        ),
        pytest.param(
            "stopped",
            "its process is stopped (state T), a SIGCONT lets it go on",
            "a SIGCONT",
            id="nobody knows which process",
        ),
        pytest.param(
            "stopped-reader",
            "its log is read by tee (pid 7, state T), which is stopped: `kill -CONT 7`",
            "kill -CONT 7 lets the reader of its log go on",
            id="the reader of its log is stopped",
        ),
        pytest.param(
            "blocked-pipe",
            "it is blocked writing into a pipe; its reader is a (b) (pid 9, state S)",
            "let the reader of its output go on: a (b) (pid 9)",
            id="its reader reads no more",
        ),
    ],
)
def test_who_is_to_go_on_is_named_in_the_remedy_itself(
    states: Any, signature: str, reason: str, says: str
) -> None:
    """On a phone the end of the reason, which names it too, is not to be seen."""
    for verdict in (Liveness.SUSPECT, Liveness.STALLED):
        status = replace(states["stalled"], verdict=verdict, signature=signature, reason=reason)
        assert says in (first_remedy(status) or "")


def test_nobody_is_told_to_bring_back_who_is_there(states: Any) -> None:
    lost = replace(states["training"], verdict=Liveness.LOST, watcher=WatcherView(pid=2))
    assert "brings its keeper and watcher back" in (first_remedy(lost) or "")
    watched = replace(lost, watcher=WatcherView(pid=2, alive=True, age_s=0.5))
    there, gone = KeeperView(pid=1, alive=True), KeeperView(pid=1, alive=False)
    assert first_remedy(replace(watched, keeper=gone)) is not None
    assert first_remedy(replace(watched, keeper=there)) is None
    foreign = replace(watched, keeper=gone, foreign=ForeignView(pid=1))
    assert first_remedy(foreign) is None


def test_what_lanewatch_did_not_start_it_does_not_offer_to_kill(states: Any) -> None:
    for signature in (None, "spinning", "idle-deadlock"):
        foreign = replace(states["stalled"], foreign=ForeignView(pid=1), signature=signature)
        assert "(K)" not in (first_remedy(foreign) or "")
        assert "end it where it was started" in (first_remedy(foreign) or "")


def test_every_signature_has_advice() -> None:
    harmless = {Signature.BUSY_WITHOUT_PROCESS}
    assert {each.value for each in Signature} - set(_BY_SIGNATURE) == {e.value for e in harmless}


@pytest.mark.parametrize(
    "file",
    [
        {},
        {"attempt": 2, "conclusion": {"remedies": [{"do": "x"}]}},
        {"attempt": 1, "conclusion": {"remedies": []}},
        {"attempt": 1, "conclusion": {"remedies": [{"do": 7}]}},
        {"attempt": 1, "conclusion": "none"},
    ],
)
def test_a_diagnosis_file_may_hold_anything(file: dict[str, Any]) -> None:
    assert first_advice(file, 1) is None


def test_the_first_advice_of_a_diagnosis() -> None:
    said = {"remedies": [{"do": "kill -CONT 7", "loses": "nothing"}, {"do": "kill it"}]}
    assert first_advice({"attempt": 1, "conclusion": said}, 1) == "kill -CONT 7"


@pytest.mark.parametrize(
    ("value", "saved", "says"),
    [
        pytest.param(None, (), "loses the work of this stage", id="no iteration"),
        pytest.param(30, (), "loses all 30 iterations", id="no checkpoint"),
        pytest.param(70, (70,), "nothing would be lost", id="just saved"),
        pytest.param(71, (70,), "loses 1 iteration since checkpoint 70, about 32s", id="one"),
        pytest.param(100, (70,), "loses 30 iterations since checkpoint 70, about 16m", id="many"),
    ],
)
def test_what_stopping_loses(
    training: RunStatus, value: int | None, saved: tuple[int, ...], says: str
) -> None:
    status = replace(
        training,
        iteration=IterationView(value=value, total=625),
        checkpoints=tuple(whole(each) for each in saved),
    )
    assert says in loss_sentence(status)
    assert says in question(Action.KILL, status).loses


def test_a_half_written_checkpoint_saves_nothing(training: RunStatus) -> None:
    half = replace(whole(240), complete=False)
    status = replace(training, checkpoints=(whole(140), half))
    assert "loses 101 iterations since checkpoint 140" in loss_sentence(status)
    assert "checkpoint 140, attempt 2" in question(Action.RESUME, status).loses


def test_saves_that_made_room_stay_in_the_timeline(states: Any, details: Any) -> None:
    training = states["training"]
    found = entries(training, full_detail(training, details(training)).saves, NOW)
    assert [(each.iteration, each.state) for each in found] == [
        (35, "deleted"),
        (70, "whole"),
        (140, "whole"),
        (210, "whole"),
    ]
    assert found[0].save_s == 96.0
    assert found[2].gap_s == pytest.approx(70 * 32.4)


@pytest.mark.parametrize(("state", "word"), [("saving", "writing"), ("stalled", "half-written")])
def test_what_is_not_whole_is_being_written_or_half_written(
    states: Any, state: str, word: str
) -> None:
    status = run_in(state, states)
    assert status is not None
    half = replace(whole(280), complete=False)
    status = replace(status, checkpoints=(whole(210), half))
    assert entries(status, (), NOW)[-1].state == word


@given(st.integers(0, 700), st.integers(1, 200), st.integers(1, 625))
def test_the_saves_to_come_are_those_that_would_come(value: int, interval: int, total: int) -> None:
    status = RunStatus(
        run="r",
        verdict=Liveness.TRAINING,
        reason="",
        iteration=IterationView(value=min(value, total), total=total),
    )
    at = min(value, total)
    coming = [each for each in range(at + 1, total + 1) if each % interval == 0 or each == total]
    assert saves_to_come(status, interval) == len(coming)
    assert next_save(status, interval) == (coming[0] if coming else None)


def test_the_disk_is_forecast(training: RunStatus) -> None:
    machine = training.machine
    assert machine is not None
    detail = RunDetail(run="r", save_interval=70)
    status = replace(training, checkpoints=(whole(210),))

    def at(free: int, keep: int | None = None) -> str:
        there = replace(status, machine=replace(machine, disk_free_bytes=free))
        return " ".join(told(there, replace(detail, keep_last=keep)))

    assert "6 to come add 6.0 GiB at most, 9.0 GiB of the disk are free" in at(9 * GIB)
    assert "the disk is full after 3 more of 6: 3.5 GiB free, one takes 1.0 GiB" in at(7 * GIB // 2)
    assert "6 to come add 2.0 GiB at most" in at(9 * GIB, keep=2)
    assert "the disk is full after 1 more" in at(3 * GIB // 2, keep=2)


def test_cadence_and_cost_are_said(states: Any, details: Any) -> None:
    training = states["training"]
    said = " / ".join(told(training, full_detail(training, details(training))))
    assert "next at 280, in 21m" in said
    assert "every 70 iterations, 37m 48s apart, the last 3 are kept" in said
    assert "a save takes 41s, 1.8 % of the time; the first one took 1m 36s" in said


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({}, "next at 280, in 21m", id="it trains"),
        pytest.param({"verdict": Liveness.LOG_STUCK}, "next at 280, in 21m", id="a silent log"),
        pytest.param({"verdict": Liveness.STALLED}, "next at 280", id="stalled"),
        pytest.param({"verdict": Liveness.SUSPECT}, "next at 280", id="suspect"),
        pytest.param({"verdict": Liveness.LOST}, "next at 280", id="lost"),
        pytest.param({"eta": None}, "next at 280", id="no end in sight"),
        pytest.param({"step_s": None}, "next at 280", id="no pace"),
    ],
)
def test_the_next_save_has_a_time_only_while_the_run_gets_on(
    training: RunStatus, changes: dict[str, Any], says: str
) -> None:
    status = replace(training, **changes)
    assert says in [text for text, _ in sentences(status, RunDetail(run="r", save_interval=70), ())]


def test_what_is_not_known_is_not_said(training: RunStatus) -> None:
    bare = replace(training, checkpoints=(), machine=None, step_s=None)
    assert sentences(bare, None, ()) == []
    alone = (Save(attempt=1, iteration=70, save_s=3.0),)
    found = entries(bare, alone, NOW)
    assert found[0].wall_s is None
    assert sentences(bare, None, found) == [("the first save took 3.0s", "")]


def test_only_what_concerns_this_run_is_shown() -> None:
    run = {
        "run": "r",
        "lane": "nemo",
        "engine": "local",
        "recipe": {
            "lanes": {"nemo": {"lora": "fused"}, "unsloth": {"threads": 1}},
            "docker": {"shm_gib": 8},
            "train": {"lr": 1e-4, "seed": None, "report_to": []},
        },
    }
    rows = provenance(run, {"process": {"pid": 7}})
    names = [name for name, _ in rows]
    assert ("nemo.lora", "fused") in rows
    assert ("lr", "0.0001") in rows
    assert ("pid", "7") in rows
    assert not {"unsloth.threads", "shm_gib", "seed", "report_to", "recipe: docker"} & set(names)


@given(
    st.dictionaries(
        st.sampled_from(["run", "lane", "recipe", "stages", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
    )
)
def test_a_strange_run_json_is_shown_as_text(run: dict[str, Any]) -> None:
    for name, value in provenance(run, run):
        assert isinstance(name, str)
        assert isinstance(value, str)


@given(
    st.integers(0, DEEPEST),
    st.integers(0, 200),
    st.floats(0, 1e6),
    st.floats(1, 1e6),
)
def test_a_window_lies_on_what_is_known(depth: int, back: int, first: float, known: float) -> None:
    view = ChartView().zoomed(depth).panned(back)
    left, right = view.window(first, first + known, first + 2 * known)
    assert first <= left < right
    assert left <= first + known


def test_zooming_out_again_shows_the_whole_run() -> None:
    view = ChartView().zoomed(3).panned(5).zoomed(-9)
    assert view == ChartView()
    assert ChartView().panned(4) == ChartView()
    assert ChartView().panned(-4) == ChartView()
    assert ChartView().smoother().smoother().smoother() == ChartView()
    assert ChartView().toggled_log("loss").toggled_log("loss") == ChartView()


def test_a_part_grows_at_once_and_shrinks_after_a_minute() -> None:
    rows = Steadied()
    assert [rows.rows(wanted, now) for wanted, now in ((2, 0.0), (4, 5.0), (2, 10.0))] == [2, 4, 4]
    assert rows.rows(3, 40.0) == 4
    assert rows.rows(2, 10.0 + SHRINK_S) == 3
    rows.forget()
    assert rows.rows(1, 200.0) == 1


def test_a_run_that_is_over_is_drawn_to_its_own_end(
    training: Any, details: Any, snap_of: Any
) -> None:
    """Stopped at 60 of 625 it had said "iterations 1 to 64", and waited for the other four."""
    at = replace(training, iteration=replace(training.iteration, value=60))
    for status, last in (
        (at, 64),
        (replace(at, status=Status.STOPPED, verdict=Liveness.STOPPED), 60),
    ):
        snapshot = snap_of(status, detail=details(status))
        loss = series_of(TRAINING, snapshot.detail, snapshot, status)[0]
        assert loss.right == last
        assert f"iterations 1 to {last}" in loss.notes


def test_a_loss_that_is_no_number_any_more_is_not_told_as_its_last_number(
    training: Any, details: Any, snap_of: Any
) -> None:
    maker = SeriesMaker()
    snapshot = snap_of(training, detail=details(training))
    assert maker.make(TRAINING, snapshot, training, ChartView())[0].figure == "0.8716"
    lost = replace(training, flags=("nan-loss",))
    for kind in (TRAINING, OVERVIEW):
        assert maker.make(kind, snapshot, lost, ChartView())[0].figure == "nan"


def test_a_graph_that_is_zoomed_does_not_pass_the_end_of_its_run(
    training: Any, details: Any, snap_of: Any
) -> None:
    over = replace(training, status=Status.STOPPED, verdict=Liveness.STOPPED)
    detail = details(over)
    for depth in range(1, DEEPEST + 1):
        (loss,) = series_of(TRAINING, detail, snap_of(over), over, ChartView(depth=depth))
        assert loss.left < loss.right <= detail.losses[-1][0]
