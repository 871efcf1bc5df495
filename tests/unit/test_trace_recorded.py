"""What a watcher records of a real run is judged again as it was judged then."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fabricated import FabricatedRun, wait_for

from monitor.replay import replay
from monitor.timeline import Timeline, timeline_of
from monitor.trace import read_trace
from tui.cli import main

RUN = "reference-20261124-031500-abcd"
LIVENESS = {"iteration_default_s": 2.0, "iteration_floor_s": 2.0}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[FabricatedRun]:
    fabricated = FabricatedRun(tmp_path / "runs" / RUN)
    fabricated.write_run(recipe={"train": {"save_interval": 5}, "liveness": LIVENESS})
    yield fabricated
    for process in fabricated.processes:
        process.send_signal(signal.SIGCONT)
    fabricated.close()


def replayed(path: Path) -> tuple[dict[str, Any], Timeline]:
    lines = path.read_text().splitlines()
    trace = read_trace(lines)
    return json.loads(lines[0]), timeline_of(replay(trace.frames, trace.header.tick_s), 0.1)


def live_through_a_stall(run: FabricatedRun) -> None:
    run.train(step=0.05, last=1000, save=5)
    run.watch()
    wait_for(lambda: (run.watched("history", "step_count") or 0) > 10)
    os.kill(run.trainer.pid, signal.SIGSTOP)
    wait_for(lambda: run.verdict() == "stalled")
    time.sleep(0.5)
    os.kill(run.trainer.pid, signal.SIGCONT)
    wait_for(lambda: run.verdict() == "training")


def test_a_recorded_stall_has_the_verdicts_and_the_seconds_of_the_live_watch(
    run: FabricatedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live_through_a_stall(run)
    run.trainer.kill()
    run.trainer.wait()
    run.write_state("failed", cause="killed by SIGKILL", process=None)
    assert run.processes[-1].wait(timeout=20) == 0
    exported = tmp_path / "night.jsonl"
    assert main.run(["events", RUN, "--trace", str(exported)]) == 0
    header, timeline = replayed(exported)
    live = [
        (event["verdict"], event["monotonic_s"] - header["monotonic_s"])
        for event in run.events("verdict")
    ]
    again = [(e.verdict, e.recorded_s) for e in timeline.entries if e.recorded_s is not None]
    assert [word for word, _ in again] == [word for word, _ in live]
    assert "stalled" in dict(live)
    assert "failed" in dict(live)
    for (word, then), (_, now) in zip(live, again, strict=True):
        assert now == pytest.approx(then, abs=0.5), word
    assert str(run.root) not in exported.read_text(), "a trace tells nobody where the run lies"
    capsys.readouterr()
    assert main.run(["replay", str(exported), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [each["verdict"] for each in said["verdicts"]] == [e.verdict for e in timeline.entries]


def test_a_second_watcher_goes_on_in_the_same_trace(run: FabricatedRun) -> None:
    run.train(step=0.05, last=1000, save=5)
    first = run.watch()
    wait_for(lambda: (run.watched("history", "step_count") or 0) > 10)
    first.kill()
    first.wait()
    with (run.root / "trace.jsonl").open("a") as stream:
        stream.write('{"at": 3.0, "heartb')  # it died while it wrote
    seen = run.watched("observed_s")
    time.sleep(0.5)
    run.watch()
    wait_for(lambda: run.watched("observed_s") > seen + 1.0)
    kept = run.root / "kept.jsonl"
    assert main.run(["events", RUN, "--trace", str(kept)]) == 0
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [line for line in lines if "trace" in line] == lines[:1]
    restarts = [line for line in lines if line.get("restart")]
    assert len(restarts) == 1
    assert restarts[0]["full"]
    assert restarts[0]["at"] - restarts[0]["last_look"] >= 0.3
    assert [entry.verdict for entry in replayed(kept)[1].entries][-1] == "training"


def test_a_run_without_a_trace_is_one_sentence(
    run: FabricatedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["events", RUN, "--trace", "-"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
