"""A dry run on a Docker engine: every container request, without an engine or rows."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from runners.lanes import get_lane
from tui.cli.main import run as lanewatch

SHIPPED = Path(__file__).parents[2] / "recipes" / "patent-strategist.toml"


@pytest.mark.parametrize("lane", ["unsloth", "nemo"])
def test_the_shipped_recipe_shows_every_container_request_before_its_rows_are_there(
    lane: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setenv("LANEWATCH_RUNS", str(tmp_path / "runs"))
    words = [f"--lane={lane}", "--engine=docker", "--set=run.gpu=1", "--dry-run", "--json"]
    assert lanewatch(["launch", str(SHIPPED), *words]) == 0
    told = capsys.readouterr()
    assert "there is no such data file; a launch would be refused" in told.err
    stages = json.loads(told.out)["stages"]
    asked = {each["stage"]: each["container"]["create"] for each in stages if "container" in each}
    assert [each["stage"] for each in stages][:3] == ["pull", "fetch", "prepare"]
    assert list(asked) == ["import", "train", "merge"]
    assert all(asked[each]["HostConfig"]["NetworkMode"] == "none" for each in ("train", "merge"))
    assert all(each["Image"] == get_lane(lane).image for each in asked.values())
    handed = asked["train"]["HostConfig"]["DeviceRequests"]
    assert [each["DeviceIDs"] for each in handed] == [["1"]]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("lane", ["unsloth", "nemo"])
def test_no_stage_of_a_lane_is_granted_more_than_the_design_does(
    lane: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    cache = tmp_path / "cache"
    monkeypatch.setenv("LANEWATCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("LANEWATCH_CACHE", str(cache))
    for name in ("HF_TOKEN", "WANDB_API_KEY", "NGC_API_KEY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "a-secret-of-ours")
    words = [f"--lane={lane}", "--engine=docker", "--dry-run", "--json"]
    assert lanewatch(["launch", str(SHIPPED), *words]) == 0
    told = capsys.readouterr().out
    assert "a-secret-of-ours" not in told
    run = tmp_path / "runs" / f"{lane}-DRY-RUN"
    stages = {each["stage"]: each.get("container") for each in json.loads(told)["stages"]}
    assert [name for name, made in stages.items() if made is None] == ["pull", "fetch", "prepare"]
    for stage in ("import", "train", "merge"):
        made = stages[stage]["create"]
        # The first installs, and the unsloth lane's packages come from an index.
        _assert_is_granted(made, network=(lane, stage) == ("unsloth", "import"))
        _assert_is_mounted(made, run, {str(cache)} if stage == "import" else set())


def _assert_is_granted(made: dict[str, Any], *, network: bool) -> None:
    host = made["HostConfig"]
    assert made["User"] == f"{os.geteuid()}:{os.getegid()}"
    assert (made["StopSignal"], made["StopTimeout"]) == ("SIGTERM", 900)
    assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges"])
    assert (host["IpcMode"], host["ShmSize"], host["Privileged"]) == ("private", 8 << 30, False)
    assert not {"CapAdd", "Devices", "PidMode", "UsernsMode", "Binds"} & host.keys()
    assert host["NetworkMode"] == ("default" if network else "none")


def _assert_is_mounted(made: dict[str, Any], run: Path, shared: set[str]) -> None:
    mounts = {each["Target"]: each["ReadOnly"] for each in made["HostConfig"]["Mounts"]}
    assert {each for each, read_only in mounts.items() if not read_only} == {str(run)} | shared
    assert mounts[str(run / "data")]
    assert mounts[str(run / "payload")]
    assert not [each for each in mounts if each.endswith(".sock")]
    given = dict(each.split("=", 1) for each in made["Env"])
    assert given["HF_HUB_OFFLINE"] == "1"
    kept = {name: each for name, each in given.items() if "CACHE" in name or "HOME" in name}
    assert len(kept) > 10
    assert all(each.startswith(f"{run}/work/home") for each in kept.values()), kept


def test_a_dry_run_for_people_says_where_each_stage_runs_and_leaves_out_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setenv("LANEWATCH_RUNS", str(tmp_path / "runs"))
    words = ["--lane=unsloth", "--engine=docker", "--dry-run"]
    assert lanewatch(["launch", str(SHIPPED), *words]) == 0
    told = capsys.readouterr()
    assert "prepare: on this machine\n" in told.out
    assert f"train: in {get_lane('unsloth').image}\n    runs   python3 -m " in told.out
    assert f"    writes {tmp_path}/runs/unsloth-DRY-RUN\n" in told.out
    assert "HF_HOME=" not in told.out
    assert "--json has all of it" in told.err


def test_a_dry_run_shows_the_base_as_it_is_mounted_once_it_was_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setenv("LANEWATCH_RUNS", str(tmp_path / "the runs"))
    monkeypatch.setenv("LANEWATCH_CACHE", str(tmp_path / "the cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hugging face"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert (
        lanewatch(["launch", str(SHIPPED), "--lane=nemo", "--engine=docker", "--dry-run", "--json"])
        == 0
    )
    told = capsys.readouterr().out
    assert "hf_secret" not in told
    stages = {each["stage"]: each for each in json.loads(told)["stages"]}
    train = stages["train"]["container"]["create"]
    repository = tmp_path / "hugging face/hub/models--deepseek-ai--DeepSeek-R1-0528-Qwen3-8B"
    run = tmp_path / "the runs" / "nemo-DRY-RUN"
    mounted = train["HostConfig"]["Mounts"]
    assert [(each["Target"], each["ReadOnly"]) for each in mounted] == [
        (str(repository), True),
        (str(tmp_path / "the cache"), True),
        (str(run), False),
        (str(run / "data"), True),
        (str(run / "payload"), True),
    ]
    assert f"HF_HOME={run}/work/home/.cache/huggingface" in train["Env"], "not the caller's"


@pytest.mark.parametrize(
    ("words", "env", "code", "sentence"),
    [
        pytest.param(
            ['--set=docker.read_only=["/run"]'], {}, 2, "bring the engine's socket", id="its socket"
        ),
        pytest.param(
            ['--set=docker.read_only=["//proc/."]'], {}, 2, "all of this machine", id="the kernel"
        ),
        pytest.param(["--after=nosuch"], {}, 2, "no run matches 'nosuch'", id="after whom?"),
        pytest.param([], {"LANEWATCH_RUNS": "/a:b"}, 2, "has a ':' in it", id="a colon"),
        pytest.param(
            [], {"DOCKER_CONTEXT": "nosuch"}, 0, "context nosuch that DOCKER_CONTEXT names",
            id="no such context",
        ),
        pytest.param(
            [], {"DOCKER_HOST": "tcp://10.0.0.1:2375"}, 0, "run lanewatch on that host", id="tcp"
        ),
    ],
)  # fmt: skip
def test_a_dry_run_in_odd_surroundings_says_what_a_launch_would(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    env: dict[str, str],
    code: int,
    sentence: str,
) -> None:
    monkeypatch.setenv("LANEWATCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    asked = ["launch", str(SHIPPED), "--lane=unsloth", "--engine=docker", "--dry-run", *words]
    assert lanewatch(asked) == code
    assert sentence in capsys.readouterr().err
