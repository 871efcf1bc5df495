"""The watcher as a process: it continues, refuses, survives and ends as it should."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fabricated import FabricatedRun, named, wait_for


@pytest.fixture
def run(tmp_path: Path) -> Iterator[FabricatedRun]:
    fabricated = FabricatedRun(tmp_path / "runs" / "reference-1")
    yield fabricated
    fabricated.close()


def ended(watcher: object) -> str:
    """Wait for the end of a watcher and return what it said."""
    _, said = watcher.communicate(timeout=20)
    return str(said.decode())


def test_a_checkpoint_becomes_one_event_and_the_end_ends_the_watch(run: FabricatedRun) -> None:
    run.train(step=0.05, last=12, save=5)
    watcher = run.watch()
    wait_for(lambda: len(run.events("checkpoint")) == 2)
    assert [event["iteration"] for event in run.events("checkpoint")] == [5, 10]
    run.trainer.kill()
    run.trainer.wait()
    run.write_state("failed", cause="killed by SIGKILL", process=None)
    assert ended(watcher) == ""
    assert watcher.returncode == 0
    last = run.events("verdict")[-1]
    assert last["verdict"] == "failed"
    assert "killed by SIGKILL" in last["text"]
    assert run.verdict() == "failed"
    with closing(sqlite3.connect(run.root / "telemetry.sqlite3")) as samples:
        last_sample = samples.execute("SELECT verdict FROM samples ORDER BY id DESC LIMIT 1")
        assert last_sample.fetchone() == ("failed",)


def test_a_killed_watcher_is_continued_by_the_next_one(run: FabricatedRun) -> None:
    first = run.watch()
    wait_for(lambda: run.read("watch.json"))
    run.train(step=0.05, last=20, save=5)
    wait_for(lambda: (run.watched("history", "step_count") or 0) > 5)
    wait_for(lambda: (run.watched("ages", "progress_s") or 0) > 1)
    first.kill()
    first.wait()
    before = run.read("watch.json")
    assert before is not None
    (run.root / "watch.json").write_text(json.dumps(before | {"seeds": {"save": 400.0}}))
    run.watch()
    wait_for(lambda: run.watched("pid") != before["pid"])
    after = run.read("watch.json")
    assert after is not None
    assert after["ages"]["progress_s"] >= before["ages"]["progress_s"]
    assert after["history"]["step_count"] >= before["history"]["step_count"]
    assert after["observed_s"] >= before["observed_s"]
    assert after["gaps"] == before["gaps"] + 1
    assert after["seeds"] == {"save": 400.0}, "what an earlier run taught holds from the first look"
    assert any("started again" in event["text"] for event in run.events("note"))
    assert len(run.events("checkpoint")) == 4, "none is announced twice"


def test_a_second_watcher_is_refused(run: FabricatedRun) -> None:
    run.train()
    run.watch()
    wait_for(lambda: run.verdict() == "training")
    second = run.watch()
    assert "is watched already" in ended(second)
    assert second.returncode == 2


def test_nothing_to_watch_is_one_sentence(tmp_path: Path) -> None:
    run = FabricatedRun(tmp_path / "gone")
    shutil.rmtree(run.root)
    watcher = run.watch()
    assert ended(watcher).count("\n") == 1
    assert watcher.returncode == 2


def test_sigterm_ends_and_sighup_does_not(run: FabricatedRun) -> None:
    run.train()
    watcher = run.watch()
    wait_for(lambda: run.verdict() == "training")
    watcher.send_signal(signal.SIGHUP)
    seen = run.watched("observed_s")
    wait_for(lambda: run.watched("observed_s") > seen + 0.3)
    watcher.send_signal(signal.SIGTERM)
    assert ended(watcher) == ""
    assert watcher.returncode == 0
    assert "told to end" in run.events("note")[-1]["text"]
    assert run.trainer.poll() is None


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"schema": 1, "pid":', id="cut short"),
        pytest.param(b"\x00\xff" * 99, id="binary"),
        pytest.param(json.dumps({"schema": 1, "verdict": 3}).encode(), id="foreign"),
    ],
)
def test_a_corrupt_watch_json_begins_afresh_and_says_so(run: FabricatedRun, content: bytes) -> None:
    (run.root / "watch.json").write_bytes(content)
    run.train()
    run.watch()
    wait_for(lambda: run.verdict() == "training")
    assert "begins afresh" in run.events("note")[0]["text"]


def test_corrupt_files_cost_their_own_signal_only(run: FabricatedRun) -> None:
    (run.root / "telemetry.sqlite3").write_bytes(b"no database " * 500)
    run.train(step=0.05)
    run.watch()
    wait_for(lambda: run.verdict() == "training")
    for name in ("run.json", "state.json"):
        (run.root / name).write_bytes(b"\xff garbage")
    wait_for(lambda: sum("unreadable" in event["text"] for event in run.events("note")) == 2)
    assert run.verdict() == "training"
    wait_for(lambda: list(run.root.glob("telemetry.sqlite3.*")))
    run.write_state()
    run.write_run()
    wait_for(lambda: sum("readable again" in event["text"] for event in run.events("note")) == 2)


def test_a_run_folder_deleted_while_it_is_watched_ends_the_watch(run: FabricatedRun) -> None:
    run.write_state(process=None)
    watcher = run.watch()
    wait_for(lambda: run.read("watch.json"))
    run.root.rename(run.root.with_name("moved"))
    said = ended(watcher)
    assert "is gone: the watch ends" in said
    assert said.count("\n") == 1
    assert watcher.returncode == 0


def test_a_folder_in_the_way_of_a_record_is_counted_and_the_watch_goes_on(
    run: FabricatedRun,
) -> None:
    (run.root / "events.jsonl").mkdir()
    run.train()
    run.watch()
    wait_for(lambda: (run.watched("failures", "events") or 0) > 2)
    assert run.verdict() == "training"
    (run.root / "events.jsonl").rmdir()
    wait_for(lambda: run.events("verdict"))
    assert "the watcher started" in run.events()[0]["text"], "in order, once the disk takes it"


def test_a_stopped_trainer_is_stalled_and_its_recovery_an_event(run: FabricatedRun) -> None:
    run.write_run(recipe={"liveness": {"iteration_default_s": 0.8, "iteration_floor_s": 0.8}})
    run.train(step=0.05)
    run.watch()
    wait_for(lambda: run.verdict() == "training")
    run.trainer.send_signal(signal.SIGSTOP)
    wait_for(lambda: run.events("verdict")[-1]["verdict"] == "stalled")
    assert "stopped (state T)" in run.events("verdict")[-1]["text"]
    run.trainer.send_signal(signal.SIGCONT)
    wait_for(lambda: run.events("verdict")[-1].get("recovered"))
    wait_for(lambda: run.verdict() == "training")


def test_a_stuck_log_is_told_from_a_stall(run: FabricatedRun) -> None:
    """The cadence is learnt; the half minute of silence is put into the watcher's memory."""
    run.train(step=0.05)
    first = run.watch()
    wait_for(lambda: (run.watched("history", "log_growths") or 0) >= 5)
    (run.root / "mute").touch()
    wait_for(lambda: (run.watched("history", "iterations_since_log") or 0) > 20)
    assert run.verdict() == "training", "the silence is still shorter than half a minute"
    first.kill()
    first.wait()
    watched = run.read("watch.json")
    assert watched is not None
    watched["marks"]["marks"]["log"]["at"] -= 700
    (run.root / "watch.json").write_text(json.dumps(watched))
    run.watch()
    wait_for(lambda: run.verdict() == "log-stuck")
    wait_for(lambda: "stdout is stuck" in run.events("verdict")[-1]["text"])


def test_a_dead_keeper_is_reported_and_started_again(run: FabricatedRun) -> None:
    mark = run.root / "keeper-ran"
    command = [sys.executable, "-c", f"open({str(mark)!r}, 'a').write('x'); print('hello')"]
    run.write_run(keeper_command=command)
    run.train()
    dead = named(os.getpid())
    assert dead is not None
    run.write_state(keeper=dead | {"start_ticks": 1})
    run.watch()
    wait_for(mark.exists)
    assert any("keeper lost" in event["text"] for event in run.events("action"))
    wait_for(lambda: "hello" in (run.root / "logs/keeper.log").read_text())
    run.write_state()
    wait_for(lambda: any("keeper restarted" in event["text"] for event in run.events("action")))
