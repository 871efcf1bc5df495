"""Which stages run again, and what a stage is asked to do."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from monitor.model import Stage
from monitor.rundir import RunDir
from runners.errors import RunStateError
from runners.recipe.model import Recipe
from runners.stages import PAYLOAD_PACKAGE, Plan, copy_payload

TRAIN = {
    "iterations": 40,
    "save_interval": 10,
    "auto_seconds": 60.0,
    "auto_min_iterations": 60,
    "auto_checkpoints": 6,
}


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    made = RunDir(tmp_path / "run")
    for folder in (made.work / "base", made.data, made.checkpoints, made.export, made.logs):
        folder.mkdir(parents=True)
    (made.work / "base" / "config.json").write_text("{}")
    return made


def plan_of(run: RunDir, model: str = "tiny-random-qwen3", **changes: Any) -> Plan:
    info = {
        "lane": "reference",
        "kind": "full",
        "recipe": {"model": {"path": model}, "train": TRAIN | changes.pop("train", {})},
        "recipe_hash": "h",
        "payload_hash": "p",
        "paths": {"base": str(run.work / "base")},
    }
    return Plan(run, info | changes)


def stage(plan: Plan, name: Stage) -> Any:
    return next(each for each in plan.stages if each.stage is name)


@pytest.mark.parametrize(
    ("changes", "stages"),
    [
        pytest.param({}, "fetch prepare train merge", id="the tiny model is made first"),
        pytest.param({"model": "/base"}, "prepare train merge", id="a folder is there already"),
        pytest.param({"kind": "smoke"}, "fetch prepare train", id="a smoke run merges nothing"),
    ],
)
def test_the_stages_of_the_reference_lane(run: RunDir, changes: Any, stages: str) -> None:
    assert " ".join(each.stage for each in plan_of(run, **changes).stages) == stages


def test_a_stage_is_done_while_its_output_is_whole_and_of_the_same_inputs(run: RunDir) -> None:
    plan = plan_of(run)
    fetch = stage(plan, Stage.FETCH)
    assert not plan.is_done(fetch)
    plan.mark_done(fetch)
    assert plan.is_done(fetch)
    assert not plan_of(run, recipe_hash="other").is_done(fetch)
    assert not plan_of(run, payload_hash="other").is_done(fetch)
    (run.work / "base" / "config.json").write_text("{} longer")
    assert not plan.is_done(fetch)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"inputs": 3}', '{"outputs": {}}'])
def test_a_record_that_cannot_be_read_means_run_again(run: RunDir, content: str) -> None:
    plan = plan_of(run)
    (run.work / "fetch.done.json").write_text(content)
    assert not plan.is_done(stage(plan, Stage.FETCH))


def test_new_token_ids_mean_training_again(run: RunDir) -> None:
    plan = plan_of(run)
    (run.data / "manifest.json").write_text(json.dumps({"ids_sha256": "a"}))
    before = plan.inputs(Stage.TRAIN)
    (run.data / "manifest.json").write_text(json.dumps({"ids_sha256": "b"}))
    assert plan.inputs(Stage.TRAIN) != before
    assert plan.inputs(Stage.FETCH) == plan_of(run).inputs(Stage.FETCH)


def checkpoint(run: RunDir, iteration: int, *, whole: bool = True) -> None:
    run.checkpoint(iteration).mkdir()
    step = iteration if whole else 0
    content = json.dumps({"global_step": step})
    (run.checkpoint(iteration) / "trainer_state.json").write_text(content)


def test_training_goes_on_from_the_last_whole_checkpoint(run: RunDir) -> None:
    plan = plan_of(run)
    assert plan.job(stage(plan, Stage.TRAIN), 1)["resume_from"] is None
    checkpoint(run, 10)
    checkpoint(run, 20)
    checkpoint(run, 30, whole=False)
    assert plan.job(stage(plan, Stage.TRAIN), 2)["resume_from"] == 20
    assert plan.job(stage(plan, Stage.MERGE), 2)["resume_from"] is None


def test_an_automatic_length_is_asked_for_as_a_measurement(run: RunDir) -> None:
    plan = plan_of(run, train={"iterations": "auto"})
    job = plan.job(stage(plan, Stage.TRAIN), 1)
    assert job["iterations"] is None
    assert job["calibrate"] == {
        "steps": 5,
        "seconds": 60.0,
        "min_iterations": 60,
        "checkpoints": 6,
    }


def test_the_payload_is_copied_whole_private_and_with_its_hash(run: RunDir) -> None:
    digest = copy_payload(run)
    copied = sorted((run.payload / PAYLOAD_PACKAGE).iterdir())
    assert {"contract.py", "train_reference.py", "__init__.py"} <= {each.name for each in copied}
    assert not [each for each in [run.payload, *copied] if each.stat().st_mode & 0o077]
    other = RunDir(run.root.with_name("other"))
    other.root.mkdir()
    assert copy_payload(other) == digest


@pytest.mark.parametrize("lane", ["reference", "unsloth", "nemo"])
def test_a_process_sees_the_named_gpu_alone(run: RunDir, lane: str) -> None:
    recipe = Recipe.model_validate({"data": {"path": "/r.jsonl"}, "run": {"gpu": "2"}})
    plan = plan_of(run, lane=lane, recipe=recipe.model_dump(mode="json"))
    env = plan.request(stage(plan, Stage.TRAIN), 1).env
    assert (env["CUDA_VISIBLE_DEVICES"], env["CUDA_DEVICE_ORDER"]) == ("2", "PCI_BUS_ID")
    assert "CUDA_VISIBLE_DEVICES" not in plan.request(stage(plan, Stage.PREPARE), 1).env
    without = plan_of(run, lane=lane, recipe={**plan.info["recipe"], "run": {"gpu": None}})
    assert "CUDA_VISIBLE_DEVICES" not in without.request(stage(without, Stage.TRAIN), 1).env


def test_who_names_a_gpu_is_not_trained_on_the_cpu(run: RunDir) -> None:
    def device(**lane: str) -> str:
        tables = {"lanes": {"reference": lane}, "run": {"gpu": "0"}, "data": {"path": "/r.jsonl"}}
        recipe = Recipe.model_validate(tables).model_dump(mode="json")
        plan = plan_of(run, recipe=recipe)
        told = plan.job(stage(plan, Stage.TRAIN), 1)["recipe"]["lanes"]["reference"]["device"]
        assert plan.info["recipe"] == recipe  # what was asked for is kept as it was
        return str(told)

    assert device() == "cuda"
    assert device(device="cpu") == "cpu"


def _checkpoint(run: RunDir, iteration: int) -> Path:
    folder = run.checkpoint(iteration)
    folder.mkdir()
    header = b'{"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
    weights = len(header).to_bytes(8, "little") + header + bytes(4)
    (folder / "adapter_model.safetensors").write_bytes(weights)
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": iteration}))
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        with zipfile.ZipFile(folder / name, "w") as made:
            made.writestr("data.pkl", b"state")
    return folder


def test_where_a_resume_begins_is_said_and_never_anew_in_silence(run: RunDir) -> None:
    plan = plan_of(run)
    assert (plan.resume_from(), plan.begins_where()) == (None, None), "nothing was saved yet"
    first, last = _checkpoint(run, 10), _checkpoint(run, 20)
    (run.checkpoints / "latest_checkpointed_iteration.txt").write_text("20\n")
    assert (plan.resume_from(), plan.begins_where()) == (20, None)
    (last / "optimizer.pt").unlink()
    assert plan.resume_from() == 10
    assert plan.begins_where() == (
        "the training goes on from checkpoint 10: iter_0000020 lacks optimizer.pt"
    )
    (first / "trainer_state.json").unlink()
    assert plan.resume_from() is None
    with pytest.raises(RunStateError, match=r"none to go on from: iter_0000020 lacks optimizer.pt"):
        plan.begins_where()
