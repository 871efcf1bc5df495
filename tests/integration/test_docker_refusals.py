"""What the docker engine refuses, on a real one: in one sentence, and nothing is left of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from boxed import ROWS, stranger_at
from conftest import Lanewatch, state
from docker_stage import Stage, staged
from engine import IMAGE, Engine, why_not_here
from servers import Registry, serving
from strangers import UID

from monitor.rundir import RunDir
from runners.engines.base import Gpu, Need
from runners.engines.docker import DockerEngine
from runners.errors import EngineError
from tui.cli.main import run as main


@pytest.fixture
def stage(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    yield from staged(engine, tmp_path, monkeypatch)


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

    monkeypatch.setattr(docker, "gpu_request", lambda about: docker.USUAL_GPU)
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


def test_a_launch_whose_containers_could_not_have_their_names_is_refused(
    lanewatch: Lanewatch,
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nobody meets it by chance, for a run's id holds the second and a random number."""
    run = "reference-20260101-000000-abcd"
    monkeypatch.setattr("runners.runs.new_run_id", lambda lane: run)
    monkeypatch.setenv("LANEWATCH_RUNS", str(lanewatch.root))
    name = f"lanewatch-{run}-merge-1"
    stage.engine.docker("create", f"--name={name}", IMAGE, "true")
    try:
        code = main([*LAUNCH, f"--set=docker.image={IMAGE}"])
    finally:
        stage.engine.remove(name)
    told = capsys.readouterr()
    assert (code, told.out) == (2, "")
    assert f"a container that is not of this run is called {name}: `docker rename`" in told.err
    assert not list(lanewatch.root.glob("*-*")), "hours of other stages are not begun for it"


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
    full_engine: Engine, lanewatch: Lanewatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in full_engine.env.items():
        monkeypatch.setenv(name, value)
    stage = Stage(full_engine, tmp_path)
    with pytest.raises(EngineError, match=r"data is full: .*`docker image prune`"):
        stage.docker.start(stage.request("pass"))
    assert stage.containers() == []
    refused = lanewatch(*LAUNCH, f"--set=docker.image={IMAGE}", code=2)
    assert "docker disk: " in refused
    assert "`docker image prune`" in refused
    assert not list(lanewatch.root.glob("reference-*"))
    with serving(Registry([os.urandom(3 << 20), b"small"])) as server:
        words = (*LAUNCH, f"--set=docker.image={server.image}")
        refused = lanewatch(*words, code=2)
        assert "disk for the pull: the pull needs about" in refused
        run = RunDir(lanewatch.root / lanewatch(*words, "--anyway").strip())
        lanewatch("wait", run.root.name, code=1)
    assert state(run)["cause"].startswith("stage pull: the disk that holds Docker's data is full")


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


def test_an_engine_of_another_machine_is_refused_and_one_whose_machine_was_renamed_is_not(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runners.engines import docker

    told = ["was called otherwise", None]
    monkeypatch.setattr(docker, "elsewhere", lambda about: told.pop(0))
    stage.docker.check(NEED)
    monkeypatch.setattr(docker, "elsewhere", lambda about: "another machine's: run it there")
    with pytest.raises(EngineError, match="run it there"):
        stage.docker.check(NEED)


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
            {"DOCKER_HOST": "tcp://10.0.0.1:2375"},
            "run lanewatch on that host",
            id="another machine",
        ),
        pytest.param(
            ["--lane=nemo", f"--set=docker.image={IMAGE}"],
            {},
            "install nvidia-container-toolkit",
            id="no GPU runtime",
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
    assert not list(lanewatch.root.glob("*-*"))


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


@pytest.mark.parametrize(
    ("member", "remedy"),
    [
        pytest.param(False, f"`sudo usermod -aG dockers {UID}`", id="not in the group"),
        pytest.param(True, "log out and in again, or run `newgrp dockers` first", id="not yet"),
    ],
)
def test_a_user_whom_the_socket_refuses_is_told_what_to_do(
    engine: Engine, tmp_path: Path, member: bool, remedy: str
) -> None:
    """Added to the group or not: this session is not in it either way."""
    engine.folder.chmod(0o711)
    with stranger_at(engine) as cli:
        cli.groups = []
        cli.around = _with_users(engine, tmp_path, member=member)
        words = (f"--data={cli.rows}", *LAUNCH[2:], f"--set=docker.image={IMAGE}")
        refused = cli("launch", *words, code=2)
        assert not cli.root.exists() or not list(cli.root.glob("*-*"))
    assert f"this user may not ask Docker ({engine.socket})" in refused
    assert remedy in refused


def _with_users(engine: Engine, folder: Path, *, member: bool) -> list[str]:
    """To run a program where the socket's group has a name, and its *member* too."""
    users, groups = folder / "passwd", folder / "group"
    users.write_text(f"ann:x:{UID}:{UID}::/:/bin/sh\n" if member else "")
    number = engine.socket.stat().st_gid
    groups.write_text(f"dockers:x:{number}:{'ann' if member else ''}\n")
    see = 'mount --bind "$1" /etc/passwd; mount --bind "$2" /etc/group; shift 2; exec "$@"'
    names = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", see, "sh"]
    return [*names, str(users), str(groups)]
