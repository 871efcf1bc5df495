"""`lanewatch diagnose` on trainers in real containers, as root and as an ordinary user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import read, state, until
from engine import Engine, python
from hanging import WITHOUT_PTRACE, users
from strangers import UID, as_stranger
from stuck import RATE, asked, main_pid, make_run, open_folder
from test_docker_crashes import STUB, Box

from monitor.probes.clock import RATE_VARIABLE
from monitor.probes.raw import list_names
from runners.sidecar import LABEL

pytestmark = pytest.mark.timeout(180)

DEADLOCK = """
import threading
ours, theirs, both = threading.Lock(), threading.Lock(), threading.Barrier(2)

def other():
    with theirs:
        both.wait()
        with ours:
            pass

def train():
    with ours:
        both.wait()
        with theirs:
            pass

threading.Thread(target=other, name="other", daemon=True).start()
train()
"""
OTHER, MAIN = "train.py:8)", "train.py:14)"


class Boxed:
    """A trainer that hangs in a container of *uid*, and its run folder of *reader*."""

    def __init__(self, engine: Engine, folder: Path, uid: int, reader: int) -> None:
        (folder / "train.py").write_text(DEADLOCK)
        self.engine, self.name = engine, f"stuck-{os.getpid()}-{folder.name[-8:].lower()}"
        options = ("--init", "--user", f"{uid}:{uid}", "--volume", f"{folder}:/workspace:ro")
        self.id = engine.run(self.name, python(), "/workspace/train.py", options=options)
        (said,) = json.loads(engine.docker("inspect", self.id))
        self.pid = main_pid(said["State"]["Pid"])
        until(lambda: len(list(Path(f"/proc/{self.pid}/task").iterdir())) == 2, "both threads")
        self.run = make_run(folder / "runs", self.pid, reader)

    def sidecars(self) -> str:
        return self.engine.docker("ps", "-aq", f"--filter=label={LABEL}")


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    with open_folder(UID) as made:
        yield made


def test_a_container_of_ours_is_looked_into_behind_its_init(engine: Engine, tmp_path: Path) -> None:
    box = Box(engine, tmp_path / "stub-20260101-000000-abcd")
    argv = [sys.executable, str(STUB), str(box.run.root)]
    env = os.environ | engine.env | {"STUB_PAUSE": "60"}
    keeper = subprocess.Popen(argv, stderr=subprocess.DEVNULL, env=env)
    try:
        until(lambda: (state(box.run).get("process") or {}).get("container_id"), "a container")
        until(lambda: read(box.run.heartbeat).get("phase") == "loading", "the stage's first word")
        said = asked(box.run, os.geteuid(), **{RATE_VARIABLE: "1"})
    finally:
        keeper.kill()
        keeper.wait()
        for each in box.containers():
            engine.call("rm", "--force", str(each["Id"]))
    assert said["facts"]["source"] == "py-spy", said
    assert any("stub_stage.py" in str(each["stays_in"]) for each in said["facts"]["threads"])
    assert said["facts"]["missing"] == []


@pytest.mark.parametrize("reader", users())
def test_as_the_containers_own_user_and_as_root(engine: Engine, folder: Path, reader: int) -> None:
    boxed = Boxed(engine, folder, WITHOUT_PTRACE, reader)
    try:
        said = asked(boxed.run, reader)
    finally:
        engine.remove(boxed.name)
    found = said["conclusion"]
    assert (found["cause"], found["confidence"]) == ("deadlock", "likely"), json.dumps(
        said, indent=1
    )
    assert OTHER in found["sentence"]
    assert MAIN in found["sentence"]


def test_a_paused_container_is_called_paused(engine: Engine, folder: Path) -> None:
    boxed = Boxed(engine, folder, 0, 0)
    engine.docker("pause", boxed.name)
    try:
        said = asked(boxed.run, 0)
    finally:
        engine.call("unpause", boxed.name)
        engine.remove(boxed.name)
    found = said["conclusion"]
    assert (found["cause"], found["confidence"]) == ("paused", "sure"), said
    assert found["remedies"][0]["do"] == f"docker unpause {boxed.id[:12]}"
    assert found["remedies"][0]["loses"] == "nothing"


def test_a_foreign_container_is_looked_into_by_another_after_a_yes(
    engine: Engine, folder: Path
) -> None:
    boxed = Boxed(engine, folder, 0, UID)
    try:
        refused = as_docker_user(boxed, "--json")
        allowed = as_docker_user(boxed, "--json", "--yes")
        left, tids = boxed.sidecars(), set(map(int, list_names(f"/proc/{boxed.pid}/task")))
    finally:
        engine.remove(boxed.name)
    assert refused["facts"]["source"] is None, refused
    assert "the process is uid 0's" in refused["facts"]["missing"][0]
    assert "--yes" in refused["facts"]["missing"][0]
    assert allowed["facts"]["source"] == "py-spy", allowed
    assert {each["pid"] for each in allowed["facts"]["threads"]} == {boxed.pid}
    assert {each["tid"] for each in allowed["facts"]["threads"]} == tids, "as they are called here"
    assert allowed["facts"]["samples"] >= 3
    assert OTHER in allowed["conclusion"]["sentence"]
    assert MAIN in allowed["conclusion"]["sentence"]
    assert left == "", "the container that looked is gone"


def as_docker_user(boxed: Boxed, *words: str) -> dict[str, Any]:
    """The command as a user who may ask the engine, and trace nobody else's processes."""
    home = boxed.run.root.parent.parent / "home"
    home.mkdir(exist_ok=True)
    os.chown(home, UID, UID)
    argv = as_stranger(
        [sys.executable, "-P", "-m", "tui", "diagnose", boxed.run.root.name, *words],
        groups=[boxed.engine.socket.stat().st_gid],
        scratch=home / "root",
    )
    own = {"HOME": str(home), "LANEWATCH_RUNS": str(boxed.run.root.parent)}
    own |= {"XDG_CONFIG_HOME": str(home / "config"), "PYTHONDONTWRITEBYTECODE": "1"}
    boxed.engine.folder.chmod(0o711)  # its socket has a group of its own
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
        env=os.environ | own | boxed.engine.env | {RATE_VARIABLE: str(RATE)},
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said
