"""Real fine-tunes in real containers, as a user without a name; whatever dies around them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from boxed import Stranger, stranger_at
from conftest import Lanewatch, read, state, trained, until
from engine import IMAGE, Engine, running_engine, why_not_here
from strangers import UID

from monitor.metrics import read_metrics
from monitor.rundir import RunDir
from runners.runs import lock_is_free

LIVE = "--live-restore"


@pytest.fixture(scope="module")
def own_engine() -> Iterator[Engine]:
    """An engine that these tests may kill."""
    reason = why_not_here()
    if reason is not None:
        pytest.skip(reason)
    with running_engine(LIVE) as running:
        running.folder.chmod(0o711)  # its socket has a group of its own
        yield running


@pytest.fixture
def stranger(own_engine: Engine) -> Iterator[Stranger]:
    """A user without a name."""
    with stranger_at(own_engine) as cli:
        yield cli


def until_it_trains(run: RunDir, iterations: int) -> None:
    """Wait for so many iterations; fail at once with the cause where the run ends before."""

    def trains() -> bool:
        assert state(run).get("status") not in ("failed", "stopped"), state(run)["cause"]
        return trained(run) >= iterations

    until(trains, f"{iterations} iterations")


def end(run: RunDir, role: str) -> int:
    """Kill the keeper or the watcher and return its pid."""
    pid = int(state(run)[role]["pid"])
    os.kill(pid, signal.SIGKILL)
    return pid


def test_a_fine_tune_in_containers_survives_its_surroundings_and_is_resumed_to_its_end(
    stranger: Stranger,
) -> None:
    engine = stranger.engine
    run = stranger.train("--name=boxed", iterations=400, save_interval=40, HF_TOKEN="hf_secret1")
    until_it_trains(run, 2)
    (container,) = stranger.containers(run)
    assert container["Name"] == f"/lanewatch-{run.root.name}-train-1"
    assert (container["Config"]["User"], container["State"]["Running"]) == (f"{UID}:{UID}", True)
    assert "hf_secret1" not in json.dumps(container)
    process = state(run)["process"]
    assert process["container_id"] == container["Id"]
    assert process["image"] == container["Image"] == read(run.run_json)["image"]["id"]
    live = until(lambda: _verdict(stranger, run, "training"), "the watcher sees it train")
    assert (live["engine"], live["keeper"]["alive"]) == ("docker", True)
    said = engine.docker("logs", container["Id"])
    assert said == f"lanewatch: this stage writes to {run.log('train')}"

    watcher = end(run, "watcher")
    until(lambda: (state(run)["watcher"] or {}).get("pid") not in (None, watcher), "a new watcher")
    keeper = end(run, "keeper")
    until(lambda: state(run)["keeper"]["pid"] != keeper, "the watcher revives the keeper")
    until(lambda: "a new keeper adopted stage train" in run.events.read_text(), "the adoption")
    engine.crash()
    before = trained(run)
    until(lambda: trained(run) > before + 1, "training goes on without an engine")
    keeper = end(run, "keeper")
    until(lambda: state(run)["keeper"]["pid"] != keeper, "a keeper without an engine")
    stranger("stop", "boxed", "--save")
    until(lambda: _gone(process["pid"]), "the trainer has saved and left; nobody says how")
    assert state(run)["status"] == "stopping"
    engine.start(LIVE)
    stranger("wait", "boxed", code=1)
    stopped = stranger.json("status", "boxed")
    at = stopped["iteration"]["value"]
    assert stopped["cause"] == f"stopped by the user in stage train, saved at iteration {at}"
    assert stranger.containers(run) == []
    assert state(run)["process"] is None

    refused = stranger("resume", "boxed", code=2, DOCKER_HOST="unix:///no/such.sock")
    assert "no Docker engine answers at /no/such.sock" in refused
    assert (state(run)["status"], state(run)["attempt"]) == ("stopped", 1), "none was begun"
    stranger("resume", "boxed")
    until(lambda: trained(run) > at, "the second attempt")
    (container,) = stranger.containers(run)
    assert container["Name"].endswith("-train-2")
    stranger("stop", "boxed", "--save")
    stranger("wait", "boxed", code=1)
    metrics = read_metrics(run.metrics).iterations
    assert [each.iteration for each in metrics] == list(range(1, len(metrics) + 1))
    assert {each.attempt for each in metrics} == {1, 2}
    _everything_is_the_strangers(run)


def test_from_launch_to_a_reloaded_merge_without_a_pause(stranger: Stranger) -> None:
    run = stranger.train(iterations=6, save_interval=3)
    done = json.loads(stranger("wait", run.root.name, "--json"))
    assert (done["verdict"], done["iteration"]["value"]) == ("finished", 6)
    assert read(run.result)["reloaded"] is True
    assert (run.export / "merged-hf-bf16" / "config.json").exists()
    assert (run.export / "adapter-hf" / "adapter_config.json").exists()
    stages = read(run.summary)["stages"]
    assert [each["name"] for each in stages] == ["pull", "fetch", "prepare", "train", "merge"]
    assert {each["status"] for each in stages} == {"done"}
    assert stranger.containers(run) == []
    _everything_is_the_strangers(run)


def test_an_engine_that_comes_back_without_live_restore_has_the_run_save_and_is_named(
    stranger: Stranger,
) -> None:
    """It sends its containers SIGTERM, and StopTimeout gives them the time."""
    run = stranger.train(iterations=4000, save_interval=2000)
    until_it_trains(run, 1)
    stranger.engine.restart()
    try:
        stranger("wait", run.root.name, code=1)
        told = stranger.json("status", run.root.name)
        at = told["iteration"]["value"]
        assert told["verdict"] == "stopped"
        assert f"a signal from outside in stage train, saved at iteration {at}" in told["cause"]
        assert "unless live-restore is on" in told["cause"]
        assert stranger.containers(run) == []

        stranger("resume", run.root.name)
        until_it_trains(run, at + 1)
        stranger.engine.say_goodbye()
        again = read(run.heartbeat)["done"]
        assert again > at
        stranger.engine.start()
        stranger("wait", run.root.name, code=1)
        told = stranger.json("status", run.root.name)
        assert told["checkpoints"][-1]["iteration"] == told["iteration"]["value"] == again
        assert told["verdict"] == "stopped"
    finally:
        stranger.engine.restart(LIVE)


def test_a_container_that_is_killed_and_one_that_is_kept_from_running(stranger: Stranger) -> None:
    run = stranger.train(iterations=4000, save_interval=2000)
    until_it_trains(run, 1)
    (container,) = stranger.containers(run)
    stranger.engine.docker("kill", container["Id"])
    stranger("wait", run.root.name, code=1)
    assert "killed by SIGKILL" in stranger.json("status", run.root.name)["cause"]
    assert state(run)["exit"] == {"code": None, "signal": 9}

    stranger("resume", run.root.name)
    until(lambda: read(run.heartbeat)["attempt"] == 2 and trained(run) >= 1, "another container")
    (container,) = stranger.containers(run)
    stranger.engine.docker("pause", container["Id"])
    stranger("kill", run.root.name)
    stranger("wait", run.root.name, code=1)
    cause = stranger.json("status", run.root.name)["cause"]
    assert cause == "killed by the user in stage train"
    assert stranger.containers(run) == []


def test_what_its_owner_does_by_hand_to_container_and_image(stranger: Stranger) -> None:
    """Renamed and untagged it goes on and is found; removed, its end is not made up."""
    engine = stranger.engine
    run = stranger.train(iterations=4000, save_interval=2000)
    until_it_trains(run, 1)
    (container,) = stranger.containers(run)
    engine.docker("rename", container["Id"], "mine-now")
    engine.docker("rmi", "--force", IMAGE)
    try:
        keeper = end(run, "keeper")
        until(lambda: state(run)["keeper"]["pid"] != keeper, "another keeper")
        until(lambda: "a new keeper adopted stage train" in run.events.read_text(), "the adoption")
        stranger("stop", run.root.name, "--save")
        stranger("wait", run.root.name, code=1)
        at = stranger.json("status", run.root.name)["checkpoints"][-1]["iteration"]
        assert state(run)["cause"].endswith(f"saved at iteration {at}")
        assert stranger.containers(run) == []

        stranger("resume", run.root.name)
        until_it_trains(run, at + 1)
        (container,) = stranger.containers(run)
        assert container["Image"] == read(run.run_json)["image"]["id"], "the very same, untagged"
    finally:
        engine.docker("tag", container["Image"], IMAGE)
    engine.docker("rm", "--force", container["Id"])
    stranger("wait", run.root.name, code=1)
    assert "its container was removed by somebody else" in state(run)["cause"]
    assert state(run)["status"] == "failed"


def _verdict(cli: Lanewatch, run: RunDir, word: str) -> Any:
    told = cli.json("status", run.root.name)
    return told if told["verdict"] == word else None


def _gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def _everything_is_the_strangers(run: RunDir) -> None:
    until(lambda: lock_is_free(run.watcher_lock), "the watcher's end")
    for path in (run.root, *run.root.rglob("*")):
        status = path.lstat()
        assert (status.st_uid, status.st_mode & 0o077 if not path.is_symlink() else 0) == (UID, 0)
