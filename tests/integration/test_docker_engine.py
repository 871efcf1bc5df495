"""The docker engine itself, on a real one: what a stage may do in there, how its end is told, what
it refuses. Stages here are a few lines of Python, since no trainer is needed for that."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from boxed import ROWS
from conftest import Lanewatch, until
from engine import IMAGE, Engine, python, why_not_here
from strangers import UID, as_stranger

from monitor.probes.process import is_alive
from monitor.rundir import RunDir
from runners.engines.base import Container, Exit, Gpu, Need, StageRequest
from runners.engines.docker import DockerEngine
from runners.errors import EngineError

BIG = 200 << 20


class Stage:
    """A run's folder and the requests for stages in it."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.run = engine, RunDir(folder / "reference-20260101-000000-abcd")
        for each in (self.run.logs, self.run.work, self.run.data):
            each.mkdir(parents=True)
        self.docker = DockerEngine()

    def request(self, code: str, attempt: int = 1, **needs: Any) -> StageRequest:
        """A stage that runs *code*."""
        fields: dict[str, Any] = {
            "image": IMAGE,
            "writable": (self.run.root,),
            "read_only": (self.run.data,),
        }
        return StageRequest(
            run=self.run.root.name,
            folder=self.run.root,
            attempt=attempt,
            stage="train",
            argv=(python(), "-c", code),
            env={},
            cwd=self.run.work,
            log=self.run.log("train"),
            lock=self.run.run_lock,
            container=Container(**(fields | needs)),
        )

    def ends(self, code: str, **needs: Any) -> Exit:
        """Run *code* to its end and return that; nothing of it is left."""
        request = self.request(code, **needs)
        handle = self.docker.start(request)
        ended: Exit = until(lambda: self.docker.poll(handle), f"the end of {code}", 60)
        self.docker.bury(request)
        assert self.containers() == []
        return ended

    def containers(self) -> list[str]:
        """Ids of all containers of this run."""
        return self.engine.docker(
            "ps", "-aq", "--no-trunc", f"--filter=label=lanewatch.folder={self.run.root}"
        ).split()

    def log(self) -> str:
        """What the stage has said."""
        return self.run.log("train").read_text()


@pytest.fixture
def stage(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    for name, value in engine.env.items():
        monkeypatch.setenv(name, value)
    made = Stage(engine, tmp_path)
    yield made
    for each in made.containers():
        engine.call("rm", "--force", each)


LOOK = """
import json, os, pathlib
def writes(path):
    try:
        pathlib.Path(path, "x").write_text("x")
    except OSError as error:
        return error.strerror
status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines()
              if ":\\t" in line)
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(), "capabilities": int(status["CapEff"], 16),
    "no_new_privileges": status["NoNewPrivs"], "interfaces": sorted(os.listdir("/sys/class/net")),
    "data": writes("DATA"), "run": writes("RUN"), "home": writes(os.environ["HOME"]),
    "socket": os.path.exists("/var/run/docker.sock"), "environment": sorted(os.environ),
    "init": open("/proc/1/comm").read().strip(), "log": os.readlink("/proc/self/fd/1"),
    "shm": os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize,
}))
"""


def test_what_a_stage_is_and_may_in_there(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    code = LOOK.replace("DATA", str(stage.run.data)).replace("RUN", str(stage.run.root))
    assert stage.ends(code, shm_bytes=64 << 20) == Exit(code=0)
    seen = json.loads(stage.log())
    assert (seen["uid"], seen["gid"]) == (os.getuid(), os.getgid())
    assert (seen["capabilities"], seen["no_new_privileges"]) == (0, "1")
    assert (seen["interfaces"], seen["socket"]) == (["lo"], False)
    assert seen["data"] == "Read-only file system"
    assert (seen["run"], seen["home"]) == (None, None)
    assert "HF_TOKEN" not in seen["environment"]
    assert seen["init"] in ("docker-init", "tini")
    assert seen["log"] == str(stage.run.log("train"))
    assert seen["shm"] == 64 << 20
    assert stage.run.log("train").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        pytest.param("raise SystemExit(7)", Exit(code=7), id="its own code"),
        pytest.param("import os; os.kill(os.getpid(), 11)", Exit(signal=11), id="a crash"),
        pytest.param("import os; os.abort()", Exit(signal=6), id="an abort"),
        pytest.param(
            "import mmap\nf = open('/dev/shm/x', 'w+b'); f.truncate(1 << 22)\n"
            "m = mmap.mmap(f.fileno(), 1 << 22); m[:] = bytes(1 << 22)",
            Exit(signal=signal.SIGBUS),
            id="more shared memory than there is",
        ),
    ],
)
def test_the_end_of_a_stage_is_told_as_it_was(stage: Stage, code: str, ended: Exit) -> None:
    assert stage.ends(code, shm_bytes=1 << 20) == ended


def test_a_child_that_the_kernel_kills_for_memory_is_told_though_its_parent_exits_with_0(
    stage: Stage,
) -> None:
    code = (
        "import pathlib, subprocess, sys, time\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.05)\n"
        f"subprocess.run([sys.executable, '-c', 'x = bytearray({BIG}); x[:] = bytes({BIG})'])"
    )
    handle = stage.docker.start(stage.request(code))
    assert handle.container_id is not None
    stage.engine.docker("update", "--memory=64m", "--memory-swap=64m", handle.container_id)
    (stage.run.work / "go").touch()
    ended = until(lambda: stage.docker.poll(handle), "its end", 60)
    assert (ended.code, ended.oom_killed) == (0, True)


WAIT = "import time\nprint('there', flush=True)\ntime.sleep(300)"
ANSWER = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))\n"
    "signal.signal(signal.SIGINT, lambda *_: sys.exit(43))\n"
    "print('there', flush=True)\ntime.sleep(300)"
)


@pytest.mark.parametrize(("save", "code"), [(True, 42), (False, 43)])
def test_it_is_asked_to_stop_with_or_without_a_save(stage: Stage, save: bool, code: int) -> None:
    handle = stage.docker.start(stage.request(ANSWER))
    until(lambda: "there" in stage.log(), "the stage listens")
    assert stage.docker.poll(handle) is None
    stage.docker.ask_to_stop(handle, save=save)
    assert until(lambda: stage.docker.poll(handle), "its end") == Exit(code=code)


def test_another_engine_object_finds_it_living_and_then_ended(stage: Stage) -> None:
    """As a new keeper does, or one after the machine's owner killed the stage."""
    request = stage.request(WAIT)
    handle = stage.docker.start(request)
    until(lambda: "there" in stage.log(), "the stage")
    command = Path(f"/proc/{handle.process.pid}/cmdline").read_bytes()
    assert b"docker-init" not in command, "the stage's own process is watched, not the init"
    found = DockerEngine().find(request)
    assert found is not None
    assert (found.process, found.container_id) == (handle.process, handle.container_id)
    assert DockerEngine().find(replace(request, attempt=2)) is None
    os.kill(handle.process.pid, signal.SIGKILL)
    until(lambda: stage.docker.poll(handle), "its end")
    later = DockerEngine().find(request)
    assert later is not None
    assert not is_alive(later.process)
    assert DockerEngine().poll(later) == Exit(signal=9)
    DockerEngine().bury(request)
    assert DockerEngine().find(request) is None


def test_kill_ends_it_though_it_is_stopped_and_the_engine_is_told_of_a_paused_one(
    stage: Stage,
) -> None:
    handle = stage.docker.start(stage.request(WAIT))
    os.kill(handle.process.pid, signal.SIGSTOP)
    stage.docker.kill(handle)
    assert stage.docker.poll(handle) == Exit(signal=9)


def test_a_container_that_somebody_removes_has_an_unknown_end(stage: Stage) -> None:
    handle = stage.docker.start(stage.request(WAIT))
    assert handle.container_id is not None
    stage.engine.remove(handle.container_id)
    ended = until(lambda: stage.docker.poll(handle), "its end")
    assert ended == Exit(note="its container was removed by somebody else")


def test_a_second_container_of_the_run_is_refused_and_what_is_left_of_a_first_try_is_buried(
    stage: Stage,
) -> None:
    stage.docker.start(stage.request(WAIT))
    with pytest.raises(EngineError, match="of this run still runs"):
        stage.docker.start(stage.request(WAIT, attempt=2))
    left = stage.containers()
    again = stage.docker.start(stage.request("pass"))
    assert again.container_id not in left
    assert len(stage.containers()) == 1


def test_what_the_engine_may_not_raise_is_left_out_with_a_note(stage: Stage) -> None:
    """Where root itself may raise no limit; elsewhere there is nothing to note."""
    handle = stage.docker.start(stage.request("pass"))
    until(lambda: stage.docker.poll(handle), "its end")
    limits = stage.engine.docker(
        "inspect", "--format", "{{json .HostConfig.Ulimits}}", *stage.containers()
    )
    assert any("limit memlock" in each for each in handle.notes) == ("memlock" not in limits)
    assert any("live-restore is off" in each for each in handle.notes)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param({"gpu": Gpu.REQUIRED}, "has no GPU runtime", id="no GPU"),
        pytest.param({"image": "no/such:1"}, "image no/such:1 is not on this machine", id="image"),
        pytest.param({"image": None}, "has no container image of its own", id="no image named"),
        pytest.param(
            {"read_only": (Path("/no/such/base"),)}, "/no/such/base is not there", id="no base"
        ),
    ],
)
def test_a_start_that_fails_says_why_and_leaves_nothing(
    stage: Stage, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(EngineError, match=sentence) as refused:
        stage.docker.start(stage.request("pass", **change))
    assert "\n" not in str(refused.value)
    assert stage.containers() == []


def test_a_start_that_fails_after_the_container_was_made_leaves_none(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that the engine claims to have and does not: it only refuses at the start."""
    from runners.engines import docker

    monkeypatch.setattr(docker, "has_gpu", lambda about: True)
    with pytest.raises(EngineError, match="has no GPU runtime"):
        stage.docker.start(stage.request("pass", gpu=Gpu.REQUIRED))
    assert stage.containers() == []


def test_a_name_that_is_taken_by_another_is_named(stage: Stage) -> None:
    request = stage.request("pass")
    name = f"lanewatch-{request.run}-train-1"
    stage.engine.run(name, "sleep", "infinity")
    try:
        with pytest.raises(EngineError, match=f"`docker rm {name}`"):
            stage.docker.start(request)
    finally:
        stage.engine.remove(name)


@pytest.fixture
def full_engine() -> Iterator[Engine]:
    """An engine whose disk has no room for another container."""
    reason = why_not_here()
    if reason is not None:
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="lw-full-"))
    data = folder / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(data)], check=True)
    engine = Engine(folder)
    try:
        engine.start()
        engine.make_image()
        with (data / "fill").open("wb", buffering=0) as filling, contextlib.suppress(OSError):
            while filling.write(bytes(1 << 16)):
                pass
        yield engine
    finally:
        engine.stop()
        subprocess.run(["umount", "--lazy", str(data)], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def test_a_full_disk_is_named_with_what_frees_some(
    full_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in full_engine.env.items():
        monkeypatch.setenv(name, value)
    stage = Stage(full_engine, tmp_path)
    with pytest.raises(EngineError, match=r"data is full: .*`docker image prune`"):
        stage.docker.start(stage.request("pass"))
    assert stage.containers() == []


NEED = Need(lane="reference", modules=(), extra="", python="python3", image=IMAGE)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("unix:///no/such.sock", "no Docker engine answers at /no/such.sock"),
        ("tcp://10.0.0.1:2375", "run lanewatch on that host"),
        ("ssh://root@spark", "run lanewatch on that host"),
    ],
)
def test_an_engine_that_cannot_be_asked(
    monkeypatch: pytest.MonkeyPatch, url: str, sentence: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", url)
    monkeypatch.setenv("DOCKER_CONTEXT", "")
    with pytest.raises(EngineError, match=sentence):
        DockerEngine().check(NEED)


def test_a_missing_image_is_refused_where_nobody_may_pull(stage: Stage) -> None:
    stage.docker.check(NEED)
    stage.docker.check(replace(NEED, image="no/such:1"))
    with pytest.raises(EngineError, match="`docker pull no/such:1`"):
        stage.docker.check(replace(NEED, image="no/such:1", pull=False))


LAUNCH = ("launch", f"--data={ROWS}", "--model=tiny-random-qwen3", "--engine=docker")


@pytest.mark.parametrize(
    ("words", "env", "sentence"),
    [
        pytest.param(
            [f"--set=docker.image={IMAGE}"],
            {"DOCKER_HOST": "unix:///no/such.sock"},
            "no Docker engine answers at /no/such.sock",
            id="no engine",
        ),
        pytest.param(
            [f"--set=docker.image={IMAGE}"],
            {"DOCKER_HOST": "ssh://spark"},
            "run lanewatch on that host",
            id="another machine",
        ),
        pytest.param([], {}, "has no container image of its own", id="no image named"),
        pytest.param(
            ["--set=docker.image=no/such:1", "--set=docker.pull=never"],
            {},
            "no/such:1 is not here, and docker.pull forbids to get it",
            id="no image here",
        ),
        pytest.param(
            [f"--set=docker.image={IMAGE}", '--set=docker.read_only=["here"]'],
            {},
            "docker.read_only",
            id="no whole path",
        ),
    ],
)
def test_a_launch_that_cannot_work_is_refused_with_one_sentence_and_makes_nothing(
    lanewatch: Lanewatch, stage: Stage, words: list[str], env: dict[str, str], sentence: str
) -> None:
    said = lanewatch(*LAUNCH, *words, code=2, **env)
    assert sentence in said
    assert "Traceback" not in said
    assert not list(lanewatch.root.glob("reference-*"))


def test_a_dry_run_shows_what_would_be_asked_of_an_engine_that_is_not_there(
    lanewatch: Lanewatch, stage: Stage
) -> None:
    words = (*LAUNCH, "--dry-run", "--json")
    nowhere = {"DOCKER_HOST": "unix:///no/such.sock", "LANEWATCH_DOCKER_IMAGE": "of/config:1"}
    done = lanewatch.call(*words, **nowhere)
    assert "would not start: no Docker engine answers" in done.stderr
    plan = json.loads(done.stdout)
    made = {each["stage"]: each.get("container") for each in plan["stages"]}
    assert list(made) == ["pull", "fetch", "prepare", "train", "merge"]
    assert (made["pull"], made["prepare"]) == (None, None)
    assert made["train"]["create"]["Image"] == "of/config:1"
    chosen = lanewatch.call(*words, "--set=docker.image=of/recipe:1", **nowhere)
    images = [
        each["container"]["create"]["Image"]
        for each in json.loads(chosen.stdout)["stages"]
        if "container" in each
    ]
    assert images == ["of/recipe:1"] * 3


def test_a_user_outside_of_the_group_is_told_what_to_do(stage: Stage, tmp_path: Path) -> None:
    stage.engine.folder.chmod(0o711)
    code = (
        "from runners.engines.docker import DockerEngine\n"
        "from runners.engines.base import Need\n"
        "DockerEngine().check(Need(lane='l', modules=(), extra='', python='p', image='i'))"
    )
    argv = as_stranger([sys.executable, "-c", code], groups=[], scratch=tmp_path / "root")
    env = os.environ | stage.engine.env
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env, cwd="/")
    assert f"this user may not ask Docker ({stage.engine.socket})" in done.stderr
    assert "usermod -aG" in done.stderr
    assert str(UID) in done.stderr


def test_an_engine_that_dies_changes_nothing_for_a_living_stage(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = stage.docker.start(stage.request(WAIT))
    monkeypatch.setenv("DOCKER_HOST", "unix:///gone/docker.sock")
    lonely = DockerEngine()
    assert lonely.poll(handle) is None
    lonely.ask_to_stop(handle, save=True)
    until(lambda: not is_alive(handle.process), "the stage's end, which needs no engine")
    assert lonely.poll(handle) is None, "it may not be said how it ended before somebody knows"
    monkeypatch.setattr("runners.engines.docker.SILENCE_S", 0.0)
    time.sleep(0.01)
    ended = lonely.poll(handle)
    assert ended is not None
    assert not ended.known
    assert "no Docker engine answers" in (ended.note or "")
