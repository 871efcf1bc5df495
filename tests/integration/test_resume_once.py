"""on_failure = "resume-once": the keeper resumes a run once by itself, and says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from channels import Receiver, configure
from conftest import end, read, state, until
from stub_lane import make

from monitor.events import read_events
from monitor.files import write_json
from monitor.probes.process import find_by_environment
from monitor.rundir import RunDir

STUB = Path(__file__).parent / "stub_lane.py"
RUN = "stub-20260101-000000-abcd"

STAGE = """
import json, os, signal, sys, time
from lanewatch_payload.contract import run_stage

def save(run, iteration):
    folder = run / "checkpoints" / f"iter_{iteration:07d}"
    folder.mkdir(exist_ok=True)
    (folder / "trainer_state.json").write_text('{"global_step": %d}' % iteration)
    (run / "checkpoints" / "latest_checkpointed_iteration.txt").write_text(str(iteration))

def main(contract):
    run, attempt = contract.run_dir, int(os.environ["LANEWATCH_ATTEMPT"])
    if contract.stage == "fetch":
        (run / "work" / "base").mkdir(exist_ok=True)
        (run / "work" / "base" / "x").write_text("x")
        return {}
    first = json.loads((run / "work" / "job.json").read_text())["resume_from"] or 0
    contract.heartbeat(phase="first_iteration", done=first, total=100, unit="iterations")
    for done in range(first + 1, 101):
        time.sleep(0.05)
        contract.heartbeat(phase="iteration", done=done)
        if done % 5 == 0:
            save(run, done)
        if done == first + 12:
            trouble = (run / "trouble").read_text().split()
            if len(trouble) >= attempt and trouble[attempt - 1] != "none":
                if trouble[attempt - 1] == "ValueError":
                    raise ValueError("bad row")
                os.kill(os.getpid(), int(trouble[attempt - 1]))
        if done - first == 30:
            break
    return {"iteration": done}

sys.exit(run_stage(main))
"""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDir]:
    made = RunDir(tmp_path / "runs" / RUN)
    make(made.root)
    (made.payload / "stub_stage.py").write_text(STAGE)
    yield made
    for process in find_by_environment({"LANEWATCH_RUN_DIR": str(made.root)}):
        os.kill(process.pid, signal.SIGKILL)
    for role in ("keeper", "watcher"):
        end(state(made).get(role))


def prepare(run: RunDir, *trouble: object, on_failure: str = "resume-once", **extra: Any) -> None:
    """What each attempt does at its 12th iteration: a signal to itself, an error or nothing."""
    (run.root / "trouble").write_text(" ".join(map(str, trouble)))
    info = json.loads(run.run_json.read_text())
    info["recipe"] |= {"run": {"on_failure": on_failure}} | extra
    info["iterations"] = 100
    write_json(run.run_json, info, durable=False)


def keep(run: RunDir) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(STUB), str(run.root)], stderr=subprocess.DEVNULL)


def actions(run: RunDir, word: str) -> list[str]:
    return [each.text for each in read_events(run.events) if word in each.text]


KILL, STOP = int(signal.SIGKILL), int(signal.SIGSTOP)


def test_a_killed_trainer_is_resumed_once_from_its_last_checkpoint(run: RunDir) -> None:
    prepare(run, KILL, "none")
    assert keep(run).wait(60) == 0
    now = state(run)
    assert (now["status"], now["attempt"]) == ("finished", 2)
    assert now["self_resumed"]["iteration"] == 10
    text = actions(run, "resumed by itself from checkpoint 10")[0]
    assert "killed by SIGKILL" in text
    alerts = [each for each in read_events(run.events) if each.kind == "alert"]
    assert [each.fields["key"] for each in alerts][:1] == ["resumed"]


def test_a_second_failure_is_for_a_person(run: RunDir) -> None:
    prepare(run, KILL, KILL, "none")
    assert keep(run).wait(60) == 0
    assert (state(run)["status"], state(run)["attempt"]) == ("failed", 2)
    assert actions(run, "resumed once already")


@pytest.mark.parametrize(
    ("trouble", "on_failure"),
    [
        pytest.param(KILL, "notify", id="not asked for"),
        pytest.param("ValueError", "resume-once", id="bad data"),
    ],
)
def test_what_is_left_to_a_person(run: RunDir, trouble: object, on_failure: str) -> None:
    prepare(run, trouble, "none", on_failure=on_failure)
    assert keep(run).wait(60) == 0
    assert (state(run)["status"], state(run)["attempt"]) == ("failed", 1)
    assert ("bad row" in state(run)["cause"]) == (trouble == "ValueError")


@pytest.mark.parametrize("step", [30, 31, 32, 36])
def test_a_keeper_that_dies_over_its_resume_leaves_it_to_the_next(run: RunDir, step: int) -> None:
    prepare(run, KILL, "none")
    killed = subprocess.run([sys.executable, str(STUB), str(run.root), str(step)], check=False)
    assert killed.returncode == -signal.SIGKILL
    decided, begun = state(run).get("mendable"), state(run).get("self_resumed")
    assert decided or begun, "choose a later step: it died before the trainer did"
    assert keep(run).wait(60) == 0
    assert (state(run)["status"], state(run)["attempt"]) == ("finished", 2)


def test_a_stalled_trainer_is_ended_and_resumed_and_the_second_stall_only_alerts(
    run: RunDir,
) -> None:
    server = Receiver()
    configure(desk=server.url)
    liveness = {
        "iteration_default_s": 1.0,
        "iteration_floor_s": 1.0,
        "first_iteration_default_s": 5.0,
        "start_default_s": 20.0,
    }
    prepare(run, STOP, STOP, liveness=liveness)
    keeper = keep(run)
    until(lambda: state(run).get("attempt") == 2, "the resume")
    assert "stalled" in state(run)["self_resumed"]["why"]
    until(
        lambda: len([title for title in server.titles if title.startswith("stalled")]) == 2,
        "the second stall is alerted",
    )
    trainer = state(run)["process"]["pid"]
    assert Path(f"/proc/{trainer}/stat").read_text().split()[2] == "T", "and nothing else is done"
    assert state(run)["attempt"] == 2
    assert keeper.poll() is None
    assert any("resumed by itself" in title for title in server.titles)
    first = next(body for body in server.bodies if "resumes it once" in body)
    assert "first: nothing; its keeper ends it" in first
    assert not run.stall.exists()
    server.close()
    keeper.kill()
    keeper.wait()
    assert read(run.watch)["verdict"]["liveness"] == "stalled"
