"""`lanewatch service run` on real runs: what died comes back, what lives is left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest
from conftest import CLI, Lanewatch, state, trained, until

from monitor.probes.process import find_by_environment
from monitor.rundir import RunDir
from runners.runs import lock_is_free, someone_lives
from runners.supervisor import Supervisor


@pytest.fixture
def run(lanewatch: Lanewatch) -> Iterator[RunDir]:
    started = lanewatch.launch(iterations=3000, save_interval=50)
    until(lambda: trained(started) >= 1, "an iteration")
    until(lambda: not lock_is_free(started.watcher_lock), "a watcher")
    yield started
    if (lanewatch.root / started.root.name).exists():
        lanewatch("kill", started.root.name, code=None)
        until(lambda: not someone_lives(started), "its end")


def kill(run: RunDir, *roles: str) -> None:
    """End them at one blow, so that none can revive another."""
    pids = [state(run)[role]["pid"] for role in roles]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    locks = {"keeper": run.keeper_lock, "watcher": run.watcher_lock}
    until(lambda: all(lock_is_free(locks[role]) for role in roles), "their end")


def is_whole(run: RunDir) -> bool:
    return not lock_is_free(run.keeper_lock) and not lock_is_free(run.watcher_lock)


def test_keeper_and_watcher_that_died_together_come_back(run: RunDir) -> None:
    trainer = state(run)["process"]["pid"]
    service = subprocess.Popen(
        [*CLI, "service", "run", "--every", "0.5"], stderr=subprocess.PIPE, text=True
    )
    kill(run, "keeper", "watcher")
    until(lambda: is_whole(run), "both are back")
    until(lambda: state(run)["process"], "the stage was adopted")
    before = trained(run)
    until(lambda: trained(run) > before, "training goes on")
    assert state(run)["process"]["pid"] == trainer
    assert state(run)["attempt"] == 1
    service.send_signal(signal.SIGTERM)
    _, said = service.communicate(timeout=30)
    assert service.returncode == 0
    assert said.count("a new keeper was started") == 1
    assert is_whole(run), "the end of the service ends no run"


def test_what_lives_is_left_alone_and_one_that_misses_briefly_too(run: RunDir) -> None:
    supervisor = Supervisor(run.root.parent)
    assert [supervisor.look(), supervisor.look()] == [[], []]
    watcher = state(run)["watcher"]["pid"]
    os.kill(watcher, signal.SIGSTOP)  # or it would bring the keeper back before we look
    os.kill(state(run)["keeper"]["pid"], signal.SIGKILL)
    until(lambda: lock_is_free(run.keeper_lock), "its end")
    assert supervisor.look() == [], "its watcher gets its chance first"
    assert supervisor.look() == [f"{run.root.name}: a new keeper was started"]
    os.kill(watcher, signal.SIGCONT)
    assert supervisor.look() == []
    assert [each["text"] for each in events(run) if each["source"] == "service"] == [
        "the service: a new keeper was started"
    ]


def events(run: RunDir) -> list[dict[str, object]]:
    return [json.loads(line) for line in run.events.read_text().splitlines()]


def test_after_a_restart_of_the_machine_a_run_is_closed_as_failed(run: RunDir) -> None:
    kill(run, "keeper", "watcher")
    for process in find_by_environment({"LANEWATCH_RUN_DIR": str(run.root)}):
        os.kill(process.pid, signal.SIGKILL)
    until(lambda: not someone_lives(run), "all of it is gone")
    left = state(run)
    left["boot_id"] = "another"
    for each in left["stages"]:
        each["boot_id"] = "another"
    left["process"]["boot_id"] = "another"
    run.state.write_text(json.dumps(left))
    assert Supervisor(run.root.parent).look() == [f"{run.root.name}: a new keeper was started"]
    until(lambda: state(run).get("status") == "failed", "it is closed")
    assert "the machine was restarted" in state(run)["cause"]


def test_what_is_over_or_just_being_launched_is_no_business_of_the_service(
    lanewatch: Lanewatch,
) -> None:
    root = lanewatch.root
    for name, files in {
        "reference-20260101-000000-aaaa": {"run.json": "{}", "state.json": '{"status":"finished"}'},
        "reference-20260101-000000-bbbb": {"run.json": "{}"},
        "reference-20260101-000000-cccc": {},
        "reference-20260101-000000-dddd": {"run.json": "{", "state.json": "{"},
    }.items():
        (root / name).mkdir(parents=True)
        for file, content in files.items():
            (root / name / file).write_text(content)
    supervisor = Supervisor(root)
    (told,) = supervisor.look()
    assert "dddd: could not be brought back" in told, "one that is broken is named, once"
    assert supervisor.look() == []
    lanewatch("service", "run", "--once")
