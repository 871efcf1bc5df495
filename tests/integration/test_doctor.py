"""The doctor for real: without GPU or Docker, before a launch, with an engine, and proving."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from conftest import CLI, RECIPE, Lanewatch, read
from engine import IMAGE, Engine, python, trainer_paths
from servers import Registry, serving

from monitor.rundir import RunDir
from monitor.words import gibibytes
from runners.doctor import examine
from runners.doctor.examine import Intended
from runners.recipe.load import load_recipe

MIB = 1 << 20

NOBODY = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "DOCKER_CONTEXT": ""}


def checks(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["check"]: each for each in told["checks"]}


def in_docker() -> list[str]:
    """Options of the docker engine with the tests' own image."""
    return [
        "--engine=docker",
        f"--set=docker.image={IMAGE}",
        f"--set=docker.python={CLI[0]}",
        f"--set=docker.read_only={json.dumps(trainer_paths())}",
    ]


def told(lanewatch: Lanewatch, *words: str, code: int = 0, **env: str) -> dict[str, Any]:
    done = lanewatch.call("doctor", *words, "--json", **env)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def test_a_machine_without_docker_gets_true_lines(lanewatch: Lanewatch) -> None:
    alone = told(lanewatch, **NOBODY)
    assert alone["ok"]
    assert checks(alone)["docker"]["level"] == "warn"
    assert "no Docker engine answers" in checks(alone)["docker"]["seen"]

    local = told(lanewatch, str(RECIPE), **NOBODY)
    assert checks(local)["docker"]["level"] == "ok"
    assert checks(local)["data"]["seen"].startswith("240 rows")
    assert checks(local)["trainer"]["level"] == "ok"
    assert local["memory_estimate_bytes"] > 100 << 20

    boxed = told(lanewatch, str(RECIPE), *in_docker(), code=1, **NOBODY)
    assert checks(boxed)["docker"]["level"] == "fail"
    text = lanewatch("doctor", str(RECIPE), **NOBODY)
    assert " 0 failed" in text.splitlines()[-1]


def test_what_is_missing_fails_with_a_remedy(lanewatch: Lanewatch, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "a"}\n{"neither": "nor"}\n')
    found = told(
        lanewatch, str(RECIPE), f"--set=data.path={json.dumps(str(rows))}",
        '--set=model.path="/nowhere/model"', code=1, **NOBODY,
    )  # fmt: skip
    assert checks(found)["base"]["level"] == "fail"
    assert checks(found)["data"]["level"] == "fail"
    assert "line 2" in checks(found)["data"]["seen"]
    assert all(each["remedy"] for each in found["checks"] if each["level"] != "ok")


@pytest.mark.parametrize(
    ("words", "check", "level", "sentence"),
    [
        (["--lane=reference"], "trainer", "ok", "has what the lane imports"),
        (["--lane=nemo"], "trainer", "fail", "the nemo lane needs torch, transformers, meg"),
        (["--lane=nemo", "--engine=docker"], "image", "fail", "no Docker engine answers"),
    ],
)
def test_without_a_recipe_it_is_asked_whether_a_lane_is_here(
    lanewatch: Lanewatch, words: list[str], check: str, level: str, sentence: str
) -> None:
    bare = {"LANEWATCH_PYTHON": python()} if "nemo" in words[0] else {}
    found = told(lanewatch, *words, code=int(level != "ok"), **NOBODY, **bare)
    assert checks(found)[check]["level"] == level
    assert sentence in checks(found)[check]["seen"]


def test_a_launch_that_cannot_fit_is_refused_unless_anyway(lanewatch: Lanewatch) -> None:
    huge = ("--set=memory.limit_gib=0.1", "--set=train.iterations=2", "--set=train.save_interval=2")
    refused = lanewatch("launch", str(RECIPE), *huge, code=2)
    assert "not launched: memory: refuse: the run takes" in refused
    assert "--anyway" in refused
    assert not list(lanewatch.root.glob("reference-*"))
    done = lanewatch.call("launch", str(RECIPE), *huge, "--anyway")
    assert done.returncode == 0, done.stderr
    assert "refuse" in done.stderr, "what is overridden is said all the same"
    lanewatch("kill", done.stdout.strip())


def test_a_launch_without_its_engine_is_refused_even_with_anyway(lanewatch: Lanewatch) -> None:
    for more in ([], ["--anyway"]):
        refused = lanewatch("launch", str(RECIPE), *in_docker(), *more, code=2, **NOBODY)
        assert "no Docker engine answers" in refused
    assert not list(lanewatch.root.glob("reference-*"))


def test_a_real_engine_its_leftovers_and_the_real_image(
    lanewatch: Lanewatch, engine: Engine
) -> None:
    ours = ("--label=lanewatch.run=reference-1", f"--label=lanewatch.root={lanewatch.root}")
    engine.run("left-behind", "sleep", "300", options=ours)
    engine.run("of-others", "sleep", "300", options=(ours[0], "--label=lanewatch.root=/else"))
    engine.run("stranger", "sleep", "300", options=("--restart=unless-stopped",))
    try:
        found = checks(told(lanewatch, str(RECIPE), *in_docker(), **engine.env))
    finally:
        engine.remove("left-behind")
        engine.remove("of-others")
        engine.remove("stranger")
    assert found["docker"]["level"] == "ok"
    assert "engine 2" in found["docker"]["seen"]
    assert found["docker restarts"]["level"] == "warn"
    assert found["docker gpu"]["level"] == "ok", "this run trains on the CPU"
    assert found["image"]["seen"] == f"{IMAGE} is on this machine"
    assert found["leftover containers"]["level"] == "warn"
    assert "left-behind" in found["leftover containers"]["seen"]
    assert "of-others" not in found["leftover containers"]["seen"]
    assert f"uid {os.geteuid()} inside" in found["image mounts"]["seen"]
    assert "imports torch, transformers, peft" in found["image imports"]["seen"]
    assert found["image gpu"]["level"] == "ok"
    assert not engine.docker("ps", "--quiet", "--all", "--filter=label=lanewatch.run")


def test_every_mount_of_every_stage_is_tried_in_the_image(
    lanewatch: Lanewatch, engine: Engine, tmp_path: Path
) -> None:
    """The cache that the stage `import` writes, too: on a new machine it is not there yet."""
    cache = tmp_path / "cache"
    words = (str(RECIPE), "--lane=unsloth", *in_docker(), "--set=lanes.unsloth.device=cpu")
    env = engine.env | {"LANEWATCH_CACHE": str(cache)}
    found = checks(told(lanewatch, *words, **env))["image mounts"]
    assert found["level"] == "ok", found
    assert not cache.exists(), "it changes nothing"
    cache.mkdir(mode=0o755)
    os.chown(cache, 12345, 12345)  # whose it is no more in a container than this user's
    found = checks(told(lanewatch, *words, code=1, **env))["image mounts"]
    assert found["level"] == "fail"
    assert f"{cache}: [Errno 13] Permission denied" in found["seen"]


def test_an_image_that_lacks_the_trainer_is_found_out(lanewatch: Lanewatch, engine: Engine) -> None:
    bare = ["--engine=docker", f"--set=docker.image={IMAGE}", f"--set=docker.python={python()}"]
    found = checks(told(lanewatch, str(RECIPE), *bare, code=1, **engine.env))
    assert found["image imports"]["level"] == "fail"
    assert "No module named 'torch'" in found["image imports"]["seen"]


def test_a_tracker_that_is_not_there_refuses_the_launch_not_its_train_stage(
    lanewatch: Lanewatch, engine: Engine
) -> None:
    wandb = ('--set=train.report_to=["wandb"]', "--lane=reference")
    refused = lanewatch("launch", str(RECIPE), *wandb, "--engine=local", code=2)
    assert "train.report_to names wandb, and" in refused
    refused = lanewatch("launch", str(RECIPE), *wandb, *in_docker(), code=2, **engine.env)
    assert "report_to: train.report_to names wandb, which is not in the image" in refused
    assert "--anyway" not in refused
    assert not engine.docker("ps", "--quiet", "--all", "--filter=label=lanewatch.run")
    assert not list(lanewatch.root.glob("reference-*"))
    asked = checks(told(lanewatch, str(RECIPE), *wandb, *in_docker(), code=1, **engine.env))
    assert asked["report_to"]["level"] == "fail"


def test_an_image_that_no_registry_has_is_refused_before_anything_is_made(
    lanewatch: Lanewatch, engine: Engine
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        name = f"127.0.0.1:{closed.getsockname()[1]}/nobody/nothing:1"
    words = ["--engine=docker", f"--set=docker.image={name}"]
    found = checks(told(lanewatch, str(RECIPE), *words, code=1, **engine.env))
    assert found["image"]["level"] == "fail"
    assert name in found["image"]["seen"]
    refused = lanewatch("launch", str(RECIPE), *words, code=2, **engine.env)
    assert "is not here" in refused
    assert not list(lanewatch.root.glob("reference-*"))


def test_what_a_pull_takes_is_told_before_there_is_one(
    lanewatch: Lanewatch, engine: Engine
) -> None:
    server = Registry([os.urandom(3 * MIB), b"small"])
    with serving(server):
        words = ["--engine=docker", f"--set=docker.image={server.image}"]
        found = checks(told(lanewatch, str(RECIPE), *words, **engine.env))
    sent = server.bytes
    assert found["image"]["level"] == "warn"
    assert f"a pull of {gibibytes(sent)}" in found["image"]["seen"]
    assert gibibytes(3 * sent) in found["disk for the pull"]["seen"]
    assert "lanewatch-test/python" in engine.docker("images")
    assert server.image.partition("/")[0] not in engine.docker("images"), "nothing was pulled"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        pytest.param(401, "refuses: `docker login 127.0.0.1:", id="no login"),
        pytest.param(404, "has no image 127.0.0.1:", id="no such image"),
    ],
)
def test_a_registry_that_will_never_give_the_image_refuses_the_launch(
    lanewatch: Lanewatch, engine: Engine, answer: int, sentence: str
) -> None:
    server = Registry([b"small"])
    server.trouble.answer = answer
    server.trouble.wait_s = examine.LAUNCH_S  # a registry is waited for longer than this machine
    with serving(server):
        words = ["--engine=docker", f"--set=docker.image={server.image}"]
        refused = lanewatch("launch", str(RECIPE), *words, code=2, **engine.env)
    (line,) = [each for each in refused.splitlines() if "not launched" in each]
    assert f"image: {server.image} is not here, and the registry" in line
    assert sentence in line
    assert not list(lanewatch.root.glob("reference-*"))


@pytest.mark.parametrize("place", ["local", "docker"])
def test_prove(
    lanewatch: Lanewatch, request: pytest.FixtureRequest, tmp_path: Path, place: str
) -> None:
    words, env = ["--engine=local"], {}
    if place == "docker":
        words, env = in_docker(), request.getfixturevalue("engine").env
    scratch, file = tmp_path / "tmp", tmp_path / "report.json"
    scratch.mkdir()
    env = env | {"TMPDIR": str(scratch)}
    done = lanewatch.call("doctor", "--prove", *words, f"--report={file}", **env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith(f"proven: reference on {place}")
    report = read(file)
    assert report["ok"] is True
    assert [each["step"] for each in report["steps"]] == [
        "launch", "stop --save", "resume", "checkpoints", "merge and reload", "gpus", "drill crash",
    ]  # fmt: skip
    assert report["trainer"]["torch"]
    if place == "docker":
        assert report["image"]["name"] == IMAGE
        assert report["image"]["id"].startswith("sha256:")
    else:
        assert report["image"] is None
    text = file.read_text()
    for private in (str(Path.home()), str(lanewatch.root), socket.gethostname()):
        assert private not in text, private
    assert not lanewatch.root.exists() or not list(lanewatch.root.glob("reference-*"))
    assert not list(scratch.glob("lanewatch-*"))


def test_the_estimate_stands_in_run_json_and_above_the_trainers_own_peak(
    lanewatch: Lanewatch,
) -> None:
    words = ("--smoke=2", "--set=train.micro_batch=8", "--set=model.sequence_length=224")
    run: RunDir = lanewatch.launch(*words, iterations=30, save_interval=10)
    estimate = read(run.run_json)["memory_estimate_bytes"]
    lanewatch("wait", run.root.name)
    peak = read(run.summary)["smoke"]["peak_memory_bytes"]
    assert peak <= estimate <= 1.4 * peak


def test_an_engine_that_takes_calls_and_never_answers_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    monkeypatch.setattr(examine, "DOCTOR_S", 1.0)
    recipe = load_recipe(RECIPE)
    intended = Intended(recipe=recipe, lane="reference", engine="docker", image=IMAGE)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen(8)
        patient = checks(examine.examine(tmp_path / "runs", intended).to_json())
        quick = checks(examine.examine_before_launch(tmp_path / "runs", intended).to_json())
    assert patient["docker"]["level"] == "fail"
    assert "has not answered" in patient["docker"]["seen"]
    assert quick["docker"]["level"] == "warn"
