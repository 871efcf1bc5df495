"""A keeper that dies between any two of its steps harms nothing: the next one goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import read, state, until
from stub_lane import make

from monitor.model import Liveness, Stage
from monitor.probes.process import find_by_environment, identify
from monitor.requests import MEMORY_GUARD, Request, ask
from monitor.rundir import RunDir
from monitor.samples import Sample
from monitor.status import read_status
from monitor.store import TelemetryStore
from runners.requests import Action, put_request
from runners.runs import someone_lives

STUB = Path(__file__).parent / "stub_lane.py"
RUN = "stub-20260101-000000-abcd"
STEPS = 40
"""More than a run of the stub lane takes; a test below proves that none is left out."""


def stub(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(STUB), *map(str, words)]
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=60, check=False, env=os.environ | env
    )


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    made = RunDir(tmp_path / RUN)
    make(made.root)
    return made


def assert_finished_once(run: RunDir) -> None:
    assert state(run)["status"] == "finished", state(run)["cause"]
    assert [entry["status"] for entry in state(run)["stages"]] == ["done"] * 2
    assert not (run.work / "TWICE-AT-ONCE").exists()
    assert (run.work / "starts").read_text().split() == ["fetch", "train"]


def test_a_keeper_left_alone_runs_each_stage_once(run: RunDir) -> None:
    done = stub(run.root)
    assert done.returncode == 0, done.stderr
    assert_finished_once(run)
    assert json.loads(run.summary.read_text())["status"] == "finished"


@pytest.mark.parametrize("first", range(0, STEPS, 8))
def test_killed_between_every_two_of_its_steps(tmp_path: Path, first: int) -> None:
    for step in range(first + 1, first + 9):
        run = RunDir(tmp_path / f"{step}" / RUN)
        make(run.root)
        killed = stub(run.root, step)
        assert killed.returncode in (0, -signal.SIGKILL), killed.stderr
        following = stub(run.root)
        assert following.returncode == 0, f"step {step}: {following.stderr}"
        assert_finished_once(run)


@pytest.mark.parametrize("first", range(20, STEPS, 10))
def test_a_failure_is_told_once_and_truly_wherever_the_keeper_dies(
    tmp_path: Path, first: int
) -> None:
    """From the end of the first stage on: what failed is never tried again by the next keeper."""
    for step in range(first + 1, first + 11):
        run = RunDir(tmp_path / f"{step}" / RUN)
        make(run.root)
        assert stub(run.root, step, STUB_FAILS="train").returncode in (0, -signal.SIGKILL)
        assert stub(run.root, STUB_FAILS="train").returncode == 0
        assert state(run)["status"] == "failed"
        assert "told to fail" in state(run)["cause"]
        assert (run.work / "starts").read_text().split() == ["fetch", "train"]


def test_a_keeper_that_dies_while_a_stage_is_stopping_leaves_the_stopping_to_the_next(
    run: RunDir,
) -> None:
    """The next keeper must wait for the stage, not close the run over its head."""
    argv = [sys.executable, str(STUB), str(run.root)]
    keeper = subprocess.Popen(argv, stderr=subprocess.DEVNULL, env=os.environ | {"STUB_PAUSE": "1"})
    until(lambda: read(run.heartbeat).get("stage") == "train", "the second stage")
    put_request(run, Action.STOP_AND_SAVE)
    until(lambda: state(run)["status"] == "stopping", "the request was taken")
    keeper.kill()
    keeper.wait()
    assert someone_lives(run)
    assert stub(run.root).returncode == 0
    assert (state(run)["status"], state(run)["cause"]) == (
        "stopped",
        "stopped by the user in stage train",
    )
    assert not someone_lives(run)


def test_a_stop_that_comes_before_the_stage_can_listen_is_heard(run: RunDir) -> None:
    put_request(run, Action.STOP)
    assert stub(run.root).returncode == 0
    assert state(run)["cause"] == "stopped by the user before stage fetch"
    assert not (run.work / "starts").exists()


def test_while_a_stage_waits_for_memory_nobody_takes_the_one_before_for_a_lost_trainer(
    run: RunDir,
) -> None:
    """Its process is gone, and rightly so: an alert would wake somebody for nothing."""
    argv = [sys.executable, str(STUB), str(run.root)]
    keeper = subprocess.Popen(argv, stderr=subprocess.DEVNULL, env=os.environ | {"STUB_SHORT": "1"})
    until(lambda: run.events.exists() and "waits for memory" in run.events.read_text(), "the wait")
    wanted = (Stage.TRAIN, Liveness.STARTING)

    def told() -> bool:  # the watcher's last look may have been a moment before
        seen = read_status(run.root)
        return (seen.stage, seen.verdict) == wanted

    until(told, "the stage that waits is told of, not the one before")
    keeper.kill()
    keeper.wait()
    put_request(run, Action.STOP)
    assert stub(run.root).returncode == 0
    (fetch, train) = state(run)["stages"]
    assert (fetch["status"], train["status"]) == ("done", "stopped")
    assert state(run)["cause"] == "stopped by the user before stage train"
    assert "wall_s" not in train, "it took no time: it never began"


def test_what_a_dead_stage_left_behind_is_not_taken_for_it(run: RunDir) -> None:
    """A helper that inherited the stage's environment lives on; the next keeper buries it."""
    argv = [sys.executable, str(STUB), str(run.root)]
    keeper = subprocess.Popen(
        argv, stderr=subprocess.DEVNULL, env=os.environ | {"STUB_PAUSE": "60", "STUB_HELPER": "1"}
    )
    until(lambda: read(run.heartbeat).get("done") == 0, "the stage")
    until((run.work / "helper").exists, "its helper")
    helper = int((run.work / "helper").read_text())
    keeper.kill()
    keeper.wait()
    os.kill(read(run.heartbeat)["pid"], signal.SIGKILL)
    until(
        lambda: len(find_by_environment({"LANEWATCH_RUN_DIR": str(run.root)})) == 1,
        "only the helper is left",
    )
    assert stub(run.root).returncode == 0
    assert state(run)["status"] == "failed"
    assert identify(helper) is None


def test_the_steps_above_cover_a_whole_run(run: RunDir) -> None:
    assert stub(run.root, STEPS).returncode == 0, "raise STEPS: the keeper took more"


def test_a_keeper_killed_again_and_again_still_gets_there(run: RunDir) -> None:
    deaths = 0
    while (code := stub(run.root, 12).returncode) == -signal.SIGKILL:
        deaths += 1
        assert deaths < 40, "no progress from one keeper to the next"
    assert code == 0
    assert deaths > 3
    assert_finished_once(run)


def test_two_keepers_at_once_leave_one(run: RunDir) -> None:
    argv = [sys.executable, str(STUB), str(run.root)]
    keepers = [
        subprocess.Popen(
            argv, stderr=subprocess.PIPE, text=True, env=os.environ | {"STUB_PAUSE": "0.5"}
        )
        for _ in range(3)
    ]
    ends = [(keeper.communicate(timeout=60)[1], keeper.returncode) for keeper in keepers]
    assert sorted(code for _, code in ends) == [0, 2, 2]
    refused = [text for text, code in ends if code == 2]
    assert all("already has a keeper" in text and "Traceback" not in text for text in refused)
    assert_finished_once(run)


def test_a_stage_killed_with_its_keeper_is_a_failure_with_an_unknown_end(run: RunDir) -> None:
    keeper = subprocess.Popen(
        [sys.executable, str(STUB), str(run.root)],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"STUB_PAUSE": "30"},
    )
    until(run.heartbeat.exists, "the stage")
    trainer = json.loads(run.heartbeat.read_text())["pid"]
    keeper.kill()
    keeper.wait()
    assert someone_lives(run), "the stage must not die with its keeper"
    os.kill(trainer, signal.SIGKILL)
    until(lambda: not someone_lives(run), "its end")
    assert stub(run.root).returncode == 0
    assert state(run)["status"] == "failed"
    assert "exit status unknown" in state(run)["cause"]
    # and it can be resumed
    assert stub(run.root, "--resume").returncode == 0
    assert state(run)["attempt"] == 2
    assert state(run)["status"] == "finished"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00\xff\x00", id="binary"),
        pytest.param(b'{"status": "runn', id="half of it"),
        pytest.param(b'{"status": "running", "attempt": "one", "stages": 3}', id="wrong types"),
        pytest.param(b"[1, 2]", id="no object"),
    ],
)
def test_a_corrupt_state_is_named_moved_aside_and_begun_again(run: RunDir, content: bytes) -> None:
    assert stub(run.root, 20).returncode == -signal.SIGKILL
    run.state.write_bytes(content)
    assert stub(run.root).returncode == 0
    assert state(run)["status"] == "finished"
    kept = list(run.root.glob("state.json.corrupt-*"))
    assert [path.read_bytes() for path in kept] == [content]
    assert "state.json was begun again" in run.events.read_text()


def test_a_stop_that_the_memory_guard_asked_for_is_told_as_its_own(run: RunDir) -> None:
    argv = [sys.executable, str(STUB), str(run.root)]
    env = os.environ | {"STUB_PAUSE": "20"}
    with subprocess.Popen(argv, env=env, stderr=subprocess.DEVNULL) as keeper:
        try:
            until(lambda: state(run).get("process"), "a stage")
            ask(run, Request(Action.KILL, MEMORY_GUARD, "memory has reached its limit"))
            keeper.wait(30)
        finally:
            keeper.kill()
    assert state(run)["status"] == "stopped"
    said = "killed by the memory guard in stage fetch: memory has reached its limit"
    assert state(run)["cause"] == said
    assert state(run)["request"]["by"] == MEMORY_GUARD


def test_after_the_machine_went_down_the_cause_says_what_was_last_seen(run: RunDir) -> None:
    assert stub(run.root, 9).returncode == -signal.SIGKILL
    before = "00000000-0000-0000-0000-000000000000"
    content = state(run)
    entries = [{"name": "fetch", "status": "done"}, {"name": "train", "status": "running"}]
    process = {"pid": 1, "start_ticks": 1, "boot_id": before}
    content |= {"boot_id": before, "stages": entries, "stage": "train", "process": process}
    run.state.write_text(json.dumps(content | {"keeper": process, "status": "running"}))
    store = TelemetryStore(run.telemetry)
    store.start()
    seen = {"mem_used_bytes": 108 << 30, "mem_available_bytes": 13 << 30, "verdict": "training"}
    store.record(Sample(boot_id=before, monotonic_s=1.0, wall_s=1_795_486_440.0, **seen))
    store.close()
    assert stub(run.root).returncode == 0
    assert state(run)["status"] == "failed"
    said = state(run)["cause"]
    assert said.startswith("the machine was restarted while it ran; last seen 2026-11-24")
    assert "108.0 GiB of memory used, 13.0 GiB available" in said
