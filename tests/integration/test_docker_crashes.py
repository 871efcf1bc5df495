"""A keeper that dies around a container: the next one finds it by its labels, or begins it once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import read, state, until
from engine import IMAGE, Engine, python
from stub_lane import make

from monitor.rundir import RunDir

STUB = Path(__file__).parent / "stub_lane.py"
RUN = "stub-20260101-000000-abcd"
ASKS = 40
"""More questions than a keeper puts to the engine; a test below proves it."""


class Box:
    """A run of the stub lane whose stages are containers."""

    def __init__(self, engine: Engine, root: Path) -> None:
        self.engine, self.run = engine, RunDir(root)
        rows = root.parent / "rows.jsonl"
        root.parent.mkdir(parents=True, exist_ok=True)
        rows.touch()
        train = {"iterations": 3, "save_interval": 1}
        recipe = {
            "train": train,
            "model": {"path": "x"},
            "data": {"path": str(rows)},
            "docker": {"python": python(), "pull": "never"},
        }
        make(root, engine="docker", image={"name": IMAGE}, recipe=recipe)

    def keeper(self, *flags: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Be kept until the keeper leaves."""
        return subprocess.run(
            [sys.executable, str(STUB), str(self.run.root), *flags],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=os.environ | self.engine.env | env,
        )

    def containers(self) -> list[dict[str, object]]:
        """What the engine says of the run's containers."""
        found = self.engine.docker("ps", "-aq", f"--filter=label=lanewatch.folder={self.run.root}")
        return list(json.loads(self.engine.docker("inspect", *found.split()))) if found else []

    def assert_finished_once(self) -> None:
        assert state(self.run)["status"] == "finished", state(self.run)["cause"]
        assert [each["status"] for each in state(self.run)["stages"]] == ["done"] * 3
        assert not (self.run.work / "TWICE-AT-ONCE").exists()
        assert (self.run.work / "starts").read_text().split() == ["fetch", "train"]
        assert self.containers() == []


@pytest.fixture
def box(engine: Engine, tmp_path: Path) -> Box:
    return Box(engine, tmp_path / RUN)


@pytest.mark.parametrize("asks", [4, 7, 8, 9, 10, 12])
def test_a_keeper_that_dies_around_a_question_to_the_engine(box: Box, asks: int) -> None:
    """Among these: a container made and not started, started and not written down, ended."""
    died = box.keeper(STUB_ASKS=str(asks))
    assert died.returncode == -signal.SIGKILL
    following = box.keeper()
    assert following.returncode == 0, following.stderr
    box.assert_finished_once()


def test_the_questions_above_are_among_those_that_a_keeper_asks(box: Box) -> None:
    assert box.keeper(STUB_ASKS=str(ASKS)).returncode == 0
    box.assert_finished_once()


def test_a_keeper_that_is_brought_back_where_no_engine_is_named_asks_the_one_of_its_run(
    box: Box,
) -> None:
    """As the service at boot does: its unit knows nothing of the shell that launched."""
    assert box.keeper(STUB_ASKS="9").returncode == -signal.SIGKILL
    following = box.keeper(DOCKER_HOST="", DOCKER_CONFIG=str(box.run.root.parent))
    assert following.returncode == 0, following.stderr
    box.assert_finished_once()


@pytest.mark.parametrize("number", [4, 5])
def test_an_engine_that_goes_away_while_a_stage_is_started_is_waited_for(
    box: Box, number: int
) -> None:
    """Its answer is lost after it made the container, and after it started that."""
    kept = box.keeper(STUB_LOST=str(number))
    assert kept.returncode == 0, kept.stderr
    assert state(box.run)["status"] == "finished", state(box.run)["cause"]
    assert not (box.run.work / "TWICE-AT-ONCE").exists()
    assert box.containers() == []


def test_after_the_machine_went_down_the_dead_container_is_buried(box: Box) -> None:
    argv = [sys.executable, str(STUB), str(box.run.root)]
    env = os.environ | box.engine.env | {"STUB_PAUSE": "60"}
    keeper = subprocess.Popen(argv, stderr=subprocess.DEVNULL, env=env)
    until(lambda: (state(box.run).get("process") or {}).get("container_id"), "a container")
    keeper.kill()
    keeper.wait()
    (container,) = box.containers()
    box.engine.docker("kill", str(container["Id"]))
    before = "00000000-0000-0000-0000-000000000000"
    content = read(box.run.state)
    process = {"pid": 1, "start_ticks": 1, "boot_id": before, "container_id": container["Id"]}
    content |= {"boot_id": before, "process": process}
    box.run.state.write_text(json.dumps(content))
    assert box.keeper().returncode == 0
    assert state(box.run)["status"] == "failed"
    assert "the machine was restarted while it ran" in state(box.run)["cause"]
    assert box.containers() == []


def test_a_resume_whose_container_could_not_have_its_name_begins_no_attempt(box: Box) -> None:
    assert box.keeper(STUB_FAILS="train").returncode == 0
    assert state(box.run)["status"] == "failed"
    name = f"lanewatch-{RUN}-train-2"
    box.engine.docker("create", f"--name={name}", IMAGE, "true")
    try:
        refused = box.keeper("--resume", STUB_FAILS="")
    finally:
        box.engine.remove(name)
    assert refused.returncode == 2
    assert f"a container that is not of this run is called {name}" in refused.stderr
    assert (state(box.run)["status"], state(box.run)["attempt"]) == ("failed", 1)
    assert box.keeper("--resume", STUB_FAILS="").returncode == 0
    assert state(box.run)["status"] == "finished"
    assert box.containers() == []
