"""What a container is given, and what it is not: the request that the engine gets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitor.rundir import RunDir
from runners.engines.base import Access, Container, Gpu, StageRequest
from runners.engines.docker import DockerEngine, user
from runners.engines.docker_mounts import mounts
from runners.engines.docker_request import (
    USUAL_GPU,
    container_body,
    container_name,
    environment,
)
from runners.errors import EngineError
from runners.lanes.base import StagePlan
from runners.stages import Plan

NEEDS = Container(image="img", gpu=Gpu.IF_THERE)


@pytest.fixture
def request_(tmp_path: Path) -> StageRequest:
    run = RunDir(tmp_path / "runs" / "reference-20260101-000000-abcd")
    return StageRequest(
        run=run.root.name,
        folder=run.root,
        attempt=2,
        stage="train",
        argv=("python3", "-m", "lanewatch_payload.train_reference"),
        env={"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "0"},
        cwd=run.work,
        log=run.log("train"),
        lock=run.run_lock,
        container=NEEDS,
    )


def body(request: StageRequest, needs: Container = NEEDS, **given: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"image": "sha256:1", "user": "1234:5678", "gpu": None} | given
    return container_body(request, needs, **settings)


def test_a_container_has_what_the_design_grants_and_nothing_else(request_: StageRequest) -> None:
    made = body(request_)
    host = made["HostConfig"]
    assert made["User"] == "1234:5678"
    assert (made["StopSignal"], made["StopTimeout"]) == ("SIGTERM", 900)
    assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges"])
    assert (host["NetworkMode"], host["IpcMode"], host["Privileged"]) == ("none", "private", False)
    assert (host["Init"], host["AutoRemove"]) == (True, False)
    assert host["RestartPolicy"] == {"Name": "no"}
    assert host["ShmSize"] == 8 << 30
    assert not {"CapAdd", "Devices", "PidMode", "UsernsMode", "Binds"} & host.keys()
    assert "docker.sock" not in str(made)


def test_the_log_and_the_command_are_arguments_never_text_of_a_shell(
    request_: StageRequest,
) -> None:
    evil = replace(request_, argv=("python3", "$(touch /tmp/x)"), log=Path('/runs/a"; rm b'))
    made = body(evil)
    shell, flag, script, *arguments = made["Entrypoint"]
    assert (shell, flag, arguments) == ("sh", "-c", ["lanewatch", '/runs/a"; rm b'])
    assert script == body(request_)["Entrypoint"][2]
    assert made["Cmd"] == ["python3", "$(touch /tmp/x)"]


def test_it_is_named_and_labelled_so_that_it_is_found_again(request_: StageRequest) -> None:
    assert container_name(request_) == f"lanewatch-{request_.run}-train-2"
    assert body(request_)["Labels"] == {
        "lanewatch.run": request_.run,
        "lanewatch.folder": str(request_.folder),
        "lanewatch.stage": "train",
        "lanewatch.attempt": "2",
        "lanewatch.root": str(request_.folder.parent),
    }


def test_nothing_of_our_environment_gets_in_and_training_is_offline(
    request_: StageRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("SOMETHING", "of ours")
    env = environment(request_)
    assert not {"HF_TOKEN", "SOMETHING", "PATH"} & env.keys()
    assert (env["HF_HUB_OFFLINE"], env["OMP_NUM_THREADS"]) == ("1", "1")
    assert env["LANEWATCH_RUN_DIR"] == str(request_.folder)
    written = [name for name, value in env.items() if value.startswith(str(request_.cwd))]
    assert {"HOME", "HF_HOME", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"} <= set(written)


@pytest.mark.parametrize(
    ("wanted", "there", "asked"),
    [
        pytest.param(Gpu.NONE, True, False, id="a stage on the CPU"),
        pytest.param(Gpu.IF_THERE, True, True, id="there is one"),
        pytest.param(Gpu.IF_THERE, False, False, id="there is none"),
        pytest.param(Gpu.REQUIRED, True, True, id="required"),
    ],
)
def test_a_gpu_is_asked_for_where_it_is_wanted(
    request_: StageRequest, wanted: Gpu, there: bool, asked: bool
) -> None:
    cdi = {"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0"]}
    made = body(request_, replace(NEEDS, gpu=wanted), gpu=cdi if there else None)
    expected = [cdi] if asked else []
    assert made["HostConfig"]["DeviceRequests"] == expected


def seen(found: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    assert all(each["Type"] == "bind" for each in found)
    return [(each["Target"], each["ReadOnly"]) for each in found]


def test_data_and_base_within_the_run_are_read_only_though_the_run_is_not(tmp_path: Path) -> None:
    (tmp_path / "work" / "base").mkdir(parents=True)
    found = mounts([tmp_path], [tmp_path / "data", tmp_path / "work" / "base"])
    assert seen(found) == [
        (str(tmp_path), False),
        (str(tmp_path / "data"), True),
        (str(tmp_path / "work" / "base"), True),
    ]


def test_a_snapshot_is_mounted_as_its_repository_since_its_files_are_links(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--owner--name"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    (repository / "blobs" / "1").write_text("{}")
    (snapshot / "config.json").symlink_to("../../blobs/1")
    run = tmp_path / "run"
    (run / "work").mkdir(parents=True)
    (run / "work" / "base").symlink_to(snapshot)
    assert seen(mounts([], [snapshot])) == [(str(repository), True)]
    assert seen(mounts([run], [run / "work" / "base"])) == [
        (str(repository), True),
        (str(run), False),
    ]


def test_a_cache_whose_files_were_moved_to_another_disk_can_be_read(tmp_path: Path) -> None:
    """One by one, with links in their place; one revision has a file of its own elsewhere."""
    repository, disk = tmp_path / "hub" / "models--owner--name", tmp_path / "disk"
    snapshot = repository / "snapshots" / "abc"
    for folder in (snapshot, repository / "blobs", disk):
        folder.mkdir(parents=True)
    for name in ("1", "own"):
        (disk / name).write_text("{}")
    (repository / "blobs" / "1").symlink_to(disk / "1")
    (snapshot / "config.json").symlink_to("../../blobs/1")
    (snapshot / "tokenizer.json").symlink_to(disk / "own")
    expected = [(str(disk / "1"), True), (str(disk / "own"), True), (str(repository), True)]
    assert seen(mounts([], [snapshot])) == expected


def test_links_that_lead_out_of_a_base_are_mounted_where_the_container_looks(
    tmp_path: Path,
) -> None:
    real = tmp_path / "disk" / "weights"
    real.parent.mkdir()
    real.write_text("w")
    (tmp_path / "blobs").symlink_to(tmp_path / "disk")
    base = tmp_path / "base"
    base.mkdir()
    (base / "model.safetensors").symlink_to("../blobs/weights")
    (base / "inner").symlink_to("model.safetensors")
    (base / "gone").symlink_to("/nowhere/at/all")
    found = mounts([], [base])
    assert seen(found) == [(str(base), True), (str(tmp_path / "blobs" / "weights"), True)]
    assert found[1]["Source"] == str(real)


@pytest.mark.parametrize("where", ["docker.sock", "", "link"])
def test_the_engines_socket_never_gets_in_by_whatever_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """To read it is enough: a socket that can be reached can be spoken to."""
    place = tmp_path / "run"
    place.mkdir()
    (place / "docker.sock").touch()
    (place / "link").symlink_to(place)
    (tmp_path / "run-of-others").mkdir()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{place}/docker.sock")
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    assert mounts([], [tmp_path / "run-of-others"])
    with pytest.raises(EngineError, match="would bring the engine's socket"):
        mounts([], [place / where])
    with pytest.raises(EngineError, match="would bring the engine's socket"):
        mounts([], [Path("/var/run")])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param([], None, id="a plain engine: our own uid"),
        pytest.param(["name=seccomp,profile=default", "name=rootless"], "0:0", id="rootless"),
    ],
)
def test_whose_uid_a_container_gets(options: list[str], expected: str | None) -> None:
    import os

    ours = f"{os.geteuid()}:{os.getegid()}"
    assert user({"SecurityOptions": options}) == (expected or ours)


def test_an_engine_that_shifts_uids_is_refused() -> None:
    with pytest.raises(EngineError, match="userns-remap"):
        user({"SecurityOptions": ["name=seccomp,profile=default", "name=userns"]})


def test_what_a_stage_may_reach_follows_from_its_plan(tmp_path: Path) -> None:
    info = {
        "lane": "reference",
        "kind": "full",
        "image": {"name": "img", "id": "sha256:2"},
        "recipe": {
            "model": {"path": "tiny-random-qwen3"},
            "data": {"path": "/rows.jsonl"},
            "docker": {"read_only": ["/extra"], "shm_gib": 0.5, "python": "/opt/py"},
        },
        "paths": {"base": str(tmp_path / "work" / "base")},
    }
    plan = Plan(RunDir(tmp_path), info)
    assert [each.stage for each in plan.stages][:2] == ["pull", "fetch"]
    stages = {each.stage.value: plan.request(each, 1) for each in plan.stages}
    assert stages["pull"].container is None
    train, fetch = stages["train"].container, stages["fetch"].container
    assert train is not None
    assert fetch is not None
    assert stages["train"].argv == ("/opt/py", "-m", "lanewatch_payload.train_reference")
    assert (train.image, train.shm_bytes) == ("sha256:2", 1 << 29)
    assert {Path("/extra"), tmp_path / "data", tmp_path / "work" / "base"} <= set(train.read_only)
    assert Path("/rows.jsonl") in fetch.read_only
    assert tmp_path / "work" / "base" not in fetch.read_only, "fetch makes it"
    assert (train.network, train.writable) == (False, (tmp_path,))
    assert (fetch.gpu, train.gpu) == (Gpu.NONE, Gpu.IF_THERE)
    assert environment(stages["fetch"])["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert "NVIDIA_VISIBLE_DEVICES" not in environment(stages["train"])


def test_a_stage_writes_the_shared_cache_only_where_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANEWATCH_CACHE", str(tmp_path / "cache"))
    info = {
        "lane": "reference",
        "image": {"name": "img"},
        "recipe": {"model": {"path": "/b"}, "data": {"path": "/d"}},
        "paths": {"base": "/b"},
    }
    plan = Plan(RunDir(tmp_path / "run"), info)
    train = next(each for each in plan.stages if each.stage == "train")

    def access(kind: Access) -> tuple[bool, bool]:
        stage = StagePlan(stage=train.stage, module="m", cache=kind)
        needs = plan.request(stage, 1).container
        assert needs is not None
        cache = tmp_path / "cache"
        return cache in needs.read_only, cache in needs.writable

    assert [access(each) for each in (Access.NONE, Access.READ, Access.WRITE)] == [
        (False, False),
        (True, False),
        (False, True),
    ]


def test_the_engine_hands_out_the_named_gpu_or_any_one(request_: StageRequest) -> None:
    def devices(needs: Container, gpu: Any = USUAL_GPU) -> Any:
        return body(request_, needs, gpu=gpu)["HostConfig"]["DeviceRequests"]

    named = replace(NEEDS, gpu_id="2")
    cdi = {"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0"]}
    assert devices(named, cdi) == [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=2"]}]
    assert devices(NEEDS, cdi) == [cdi]
    assert devices(named, None) == []
    assert devices(named) == [{"DeviceIDs": ["2"], "Capabilities": [["gpu"]]}]
    assert devices(NEEDS) == [{"Count": 1, "Capabilities": [["gpu"]]}]
    assert devices(replace(named, gpu=Gpu.NONE)) == []


def test_a_dry_run_needs_no_engine_and_a_lane_without_an_image_one_sentence(
    request_: StageRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    told = DockerEngine().describe(request_)
    assert told["container"]["create"]["Image"] == "img"
    nameless = replace(request_, container=replace(NEEDS, image=None))
    with pytest.raises(EngineError, match=r"--set docker\.image=NAME"):
        DockerEngine().describe(nameless)
