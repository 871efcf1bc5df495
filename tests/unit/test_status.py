"""Status: what anyone may read of a run, without a write and without a process."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fabricated import FabricatedRun, named, wait_for

from monitor import locks
from monitor.files import write_json
from monitor.model import Evidence, Liveness, Status, Verdict
from monitor.probes.clock import read_now
from monitor.single_look import look_once
from monitor.status import OutlineReader, list_runs, read_outline, read_status
from monitor.target import read_target
from monitor.watch_state import WatchState, read_watch, write_watch

KEYS = {
    "schema", "run", "lane", "engine", "stage", "phase", "attempt", "status", "verdict", "flags",
    "cause", "since", "iteration", "eta", "checkpoints", "memory", "evidence", "watcher", "keeper",
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Iterator[FabricatedRun]:
    fabricated = FabricatedRun(tmp_path / "runs" / "reference-1")
    yield fabricated
    fabricated.close()


def files_of(folder: Path) -> dict[str, int]:
    return {str(each): each.stat().st_mtime_ns for each in folder.rglob("*")}


def test_a_live_run_is_as_its_watcher_says(run: FabricatedRun) -> None:
    run.train(step=0.05, save=5)
    watcher = run.watch()
    wait_for(lambda: (run.watched("eta", "seconds") or 0) > 0)
    wait_for(lambda: run.events("checkpoint"))
    status = read_status(run.root)
    assert status.verdict is Liveness.TRAINING
    assert status.status is Status.RUNNING
    assert (status.watcher.pid, status.watcher.alive) == (watcher.pid, True)
    assert status.keeper.alive
    assert status.eta is not None
    assert status.memory is not None
    assert status.memory.process_peak_bytes
    assert status.loss == 1.0
    assert status.checkpoints[0].iteration == 5
    assert status.problems == ()
    value = json.loads(json.dumps(status.to_json()))
    assert value.keys() >= KEYS
    assert value["iteration"].keys() == {"value", "total", "error", "source"}
    assert value["iteration"]["total"] == 1000
    assert value["evidence"][0].keys() >= {"signal", "age_s", "supports"}
    assert value["keeper"].keys() == {"pid", "alive"}


@pytest.mark.parametrize(
    ("age_s", "says"),
    [
        pytest.param(2.0, "all is well", id="a word of now"),
        pytest.param(
            25.0,
            "by one look: its watcher has written nothing for 25 s",
            id="a disk that takes no newer one",
        ),
    ],
)
def test_a_word_that_is_not_of_now_says_so(run: FabricatedRun, age_s: float, says: str) -> None:
    run.train()
    watcher = run.watch()
    wait_for(lambda: run.watched("verdict"))
    watcher.send_signal(signal.SIGSTOP)
    wait_for(lambda: b"\nState:\tT" in Path(f"/proc/{watcher.pid}/status").read_bytes())
    state = read_watch(run.root / "watch.json").value
    assert state is not None
    verdict = replace(state.verdict, reason="all is well")
    word = replace(state, verdict=verdict, tick_s=1.0)
    write_watch(run.root / "watch.json", word)
    now = read_now()
    later = replace(now, monotonic_s=word.monotonic_s + age_s)
    assert read_status(run.root, now=later).reason.endswith(says)


def test_with_a_dead_watcher_one_look_is_taken_and_nothing_written(run: FabricatedRun) -> None:
    run.train(step=0.02, last=20)
    watcher = run.watch()
    wait_for(lambda: (run.watched("ages", "progress_s") or 0) > 0.5)
    watcher.kill()
    watcher.wait()
    before = files_of(run.root)
    status = read_status(run.root)
    assert status.verdict is Liveness.TRAINING
    assert status.iteration.value == 20
    assert not status.watcher.alive
    assert status.watcher.age_s is not None
    ages = {each.signal: each.age_s for each in status.evidence}
    assert (ages["heartbeat"] or 0) > 0.5
    assert files_of(run.root) == before


def test_without_any_watcher_the_heartbeat_speaks_for_itself(run: FabricatedRun) -> None:
    run.train()
    wait_for(lambda: (run.read("heartbeat.json") or {}).get("done"))
    status = read_status(run.root)
    assert status.verdict is Liveness.TRAINING
    assert status.watcher.pid is None


def test_a_dead_trainer_is_never_shown_alive(run: FabricatedRun) -> None:
    run.train()
    run.watch()
    wait_for(lambda: run.verdict() == "training")
    run.trainer.kill()
    run.trainer.wait()
    wait_for(lambda: run.verdict() == "lost")
    assert "has not recorded how" in read_status(run.root).reason


@pytest.mark.parametrize(
    ("status", "cause", "verdict"),
    [
        pytest.param("finished", None, Liveness.FINISHED, id="finished"),
        pytest.param("failed", "out of memory", Liveness.FAILED, id="failed"),
        pytest.param("stopped", None, Liveness.STOPPED, id="stopped"),
    ],
)
def test_a_run_that_is_over_is_as_its_keeper_recorded(
    run: FabricatedRun, status: str, cause: str | None, verdict: Liveness
) -> None:
    run.write_state(status, cause=cause, process=None, updated_wall=5.0)
    for found in (read_status(run.root), *list_runs(run.root.parent)):
        assert (found.verdict, found.cause, found.ended_wall) == (verdict, cause, 5.0)
        assert found.iteration.value == (1000 if status == "finished" else None)
        assert found.final


def test_a_watcher_that_has_said_nothing_yet_is_not_the_dead_one_before_it(
    run: FabricatedRun,
) -> None:
    watched(run, Liveness.TRAINING)
    run.write_state("running", watcher=None)
    assert not read_status(run.root).watcher.alive
    run.write_state("running", watcher=named(os.getpid()))
    found = read_status(run.root).watcher
    assert (found.pid, found.alive, found.age_s) == (os.getpid(), True, None)


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        pytest.param("stopped, saved at iteration 57", "stopped, saved at iteration 57", id="said"),
        pytest.param("stopped by the user", "stopped by the user at iteration 57", id="not said"),
        pytest.param(
            "checkpoint at iteration 5", "checkpoint at iteration 5 at iteration 57", id="another"
        ),
    ],
)
def test_how_far_it_got_is_said_once(run: FabricatedRun, cause: str, reason: str) -> None:
    run.write_state("stopped", cause=cause, process=None)
    write_json(run.root / "summary.json", {"iterations": 57}, durable=False)
    assert read_status(run.root).reason == reason


def test_a_run_that_nobody_holds_is_lost(run: FabricatedRun) -> None:
    dead = named(os.getpid())
    assert dead is not None
    run.write_state("starting", process=None, keeper=dead | {"start_ticks": 1}, stage=None)
    status = read_status(run.root)
    assert status.verdict is Liveness.LOST
    assert "nobody lives" in status.reason
    held = locks.take(run.root / "run.lock")
    assert held is not None
    try:
        assert read_status(run.root).verdict is Liveness.STARTING
    finally:
        os.close(held)


def test_a_run_whose_keeper_has_not_spoken_yet_is_starting_for_a_moment(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "reference-1"
    folder.mkdir(parents=True)
    now = read_now()
    told = {"schema": 1, "run": folder.name, "kind": "full", "created_wall": now.wall_s - 2.0}
    write_json(folder / "run.json", told, durable=False)
    status = read_status(folder, now=now)
    assert (status.verdict, status.reason) == (
        Liveness.STARTING,
        "it has just been launched: its keeper is starting",
    )
    write_json(folder / "run.json", told | {"created_wall": now.wall_s - 60.0}, durable=False)
    assert read_status(folder, now=now).verdict is Liveness.LOST
    write_json(folder / "run.json", told | {"created_wall": now.wall_s + 60.0}, durable=False)
    assert read_status(folder, now=now).verdict is Liveness.LOST, "a clock that was set back"


def watched(run: FabricatedRun, liveness: Liveness, **changes: Any) -> WatchState:
    """A last word of a watcher that is gone."""
    now = read_now()
    gone: dict[str, Any] = {"pid": 1, "start_ticks": 1, "boot_id": now.boot_id, "attempt": 1}
    evidence = (Evidence(signal="heartbeat", detail="iteration 93", age_s=4.0),)
    verdict = Verdict(liveness=liveness, reason="as seen", evidence=evidence, iteration=93)
    times = {"monotonic_s": now.monotonic_s, "wall_s": now.wall_s, "since_wall": now.wall_s}
    state = WatchState(**gone | times | {"verdict": verdict} | changes)
    write_watch(run.root / "watch.json", state)
    return state


def test_without_a_watcher_the_limits_are_those_it_had_found(run: FabricatedRun) -> None:
    run.train(last=1)
    watched(run, Liveness.TRAINING, seeds={"iteration": 300.0})
    target, last = read_target(run.root), read_watch(run.root / "watch.json").value
    wait_for(lambda: (run.read("heartbeat.json") or {}).get("done"))
    assert look_once(target, last, read_now()).verdict.limit_s == 1500


def test_a_finished_run_is_at_its_last_iteration_whatever_was_seen_last(
    run: FabricatedRun,
) -> None:
    run.write_state("finished", process=None)
    watched(run, Liveness.TRAINING)
    for status in (read_status(run.root), *list_runs(run.root.parent)):
        assert (status.verdict, status.iteration.value) == (Liveness.FINISHED, 1000)


@pytest.mark.parametrize(
    ("summary", "loss", "step_s"),
    [
        pytest.param({"final_loss": 1.25, "step_median_s": 32.4}, 1.25, 32.4, id="as it was left"),
        pytest.param({"final_loss": "low", "step_median_s": None}, None, None, id="garbage"),
    ],
)
def test_a_finished_run_tells_its_last_loss_and_its_pace(
    run: FabricatedRun, summary: dict[str, Any], loss: float | None, step_s: float | None
) -> None:
    run.write_state("finished", stage="merge", process=None)
    write_json(run.root / "summary.json", summary, durable=False)
    status = read_status(run.root)
    assert (status.loss, status.step_s) == (loss, step_s)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param({"summary.json": {"iterations": 57}}, (57, "metrics"), id="the summary"),
        pytest.param(
            {"result.json": {"attempt": 2, "iteration": 60}, "summary.json": {"iterations": 57}},
            (60, "result"),
            id="the payload's last word",
        ),
        pytest.param({"result.json": {"attempt": 1, "iteration": 60}}, (None, None), id="attempt"),
        pytest.param({"summary.json": {"iterations": "x"}}, (None, None), id="garbage"),
    ],
)
def test_how_far_a_failed_run_got(
    run: FabricatedRun, content: dict[str, dict[str, object]], expected: tuple[int | None, str]
) -> None:
    run.write_state("failed", process=None, attempt=2)
    for name, value in content.items():
        write_json(run.root / name, value, durable=False)
    for status in (read_status(run.root), *list_runs(run.root.parent)):
        assert (status.iteration.value, status.iteration.source) == expected


def test_what_was_seen_of_an_earlier_attempt_says_nothing_of_this_one(run: FabricatedRun) -> None:
    watched(run, Liveness.FAILED, used_peak_bytes=5)
    run.write_state("failed", process=None, attempt=2, cause="out of memory")
    status = read_status(run.root)
    assert (status.reason, status.evidence) == ("out of memory", ())
    run.write_state("failed", process=None, attempt=1, cause="out of memory")
    assert read_status(run.root).reason == "as seen"


def test_the_evidence_of_a_run_that_is_over_has_no_age(run: FabricatedRun) -> None:
    watched(run, Liveness.FAILED)
    run.write_state("failed", process=None)
    (heartbeat,) = read_status(run.root).evidence
    assert (heartbeat.detail, heartbeat.age_s) == ("iteration 93", None)


def test_a_clock_set_back_changes_no_verdict_and_makes_no_negative_age(run: FabricatedRun) -> None:
    watcher = run.watch()
    wait_for(lambda: run.read("watch.json"))
    run.train(step=0.05, last=20, save=5)
    wait_for(lambda: run.watched("eta") and len(run.events("checkpoint")) == 4)
    now = read_now()
    for wall_s in (now.wall_s, now.wall_s - 3600):
        status = read_status(run.root, now=replace(now, wall_s=wall_s))
        assert status.verdict is Liveness.TRAINING
        assert status.watcher.alive
        assert len(status.checkpoints) == 4
        assert status.eta is not None
        assert min(seconds_in(status.to_json())) >= 0
    watcher.kill()
    watcher.wait()
    alone = read_status(run.root, now=replace(read_now(), wall_s=now.wall_s - 3600))
    assert alone.verdict is Liveness.TRAINING
    assert min(seconds_in(alone.to_json())) >= 0


def seconds_in(value: object, name: str = "") -> Iterator[float]:
    """Every number of seconds in a status, at any depth."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from seconds_in(each, key)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from seconds_in(each, name)
    elif isinstance(value, float) and name.endswith(("_s", "seconds")):
        yield value


def test_the_list_is_newest_first_and_leaves_out_what_is_no_folder(run: FabricatedRun) -> None:
    run.write_run(created_wall=1.0)
    run.write_state("finished", process=None)
    later = shutil.copytree(run.root, run.root.with_name("reference-2"))
    value = json.loads((later / "run.json").read_text()) | {"run": "later", "created_wall": 2.0}
    (later / "run.json").write_text(json.dumps(value))
    (run.root.parent / "a-file").touch()
    (run.root.parent / ".trash").mkdir()
    assert [each.run for each in list_runs(run.root.parent)] == ["later", "reference-1"]
    assert list_runs(run.root.parent / "missing") == []


def test_whoever_looks_again_and_again_sees_what_one_look_sees(run: FabricatedRun) -> None:
    run.train(step=0.05, save=5)
    run.watch()
    wait_for(lambda: run.events("checkpoint"))
    reader = OutlineReader()
    first = reader.read(run.root, read_now())
    wait_for(lambda: (run.watched("verdict", "iteration") or 0) > (first.iteration.value or 0))
    now = read_now()
    again, once = reader.read(run.root, now), read_outline(run.root, now=now)
    assert again.iteration.value is not None
    assert again.iteration.value > (first.iteration.value or 0)
    assert again.verdict is once.verdict is Liveness.TRAINING
    assert again.stages == once.stages


def test_a_state_that_is_half_written_keeps_what_it_said(run: FabricatedRun) -> None:
    run.train(step=0.05, save=5)
    run.watch()
    wait_for(lambda: run.watched("verdict", "liveness") == "training")
    reader = OutlineReader()
    assert reader.read(run.root, read_now()).stage == "train"
    (run.root / "state.json").write_text("{")
    assert reader.read(run.root, read_now()).stage == "train"
    wait_for(lambda: any("state.json" in each for each in run.watched("unreadable") or ()))
    broken = reader.read(run.root, read_now())
    assert broken.stage == "train"
    assert any("state.json" in each for each in broken.problems)
