"""The reference lane for real: a tiny model, trained, stopped, resumed, merged and loaded again.

Each stage is a process of its own, started from a copied payload as in production.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from lane_lab import (
    ITERATIONS,
    Lab,
    assert_is_base_plus_adapter,
    assert_learns_the_same_though_stopped_twice,
    strange_base,
)
from trackers import put_trackers, told

pytest.importorskip("torch")
pytest.importorskip("peft")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A run that nobody disturbed: fetched and trained to its end."""
    lab = Lab(tmp_path_factory.mktemp("lane") / "whole")
    made = lab.run("fetch", "make_tiny")
    assert made["made"] is True
    lab.environment["PYTHONPATH"] = str(put_trackers(lab.root / "trackers"))
    recipe = lab.recipe(report_to=["tensorboard", "wandb"])
    lab.run("train", "train_reference", recipe=recipe)
    lab.trained, lab.last_beat = lab.result(), lab.heartbeat()
    return lab


@pytest.fixture
def lab(tmp_path: Path, whole: Lab) -> Lab:
    return Lab(tmp_path / "run", base=whole.base)


def test_a_base_that_is_there_is_not_made_again(lab: Lab) -> None:
    weights = lab.base / "model.safetensors"
    before = weights.stat()
    assert lab.run("fetch", "make_tiny")["made"] is False
    assert weights.stat() == before
    config = json.loads((lab.base / "config.json").read_text())
    assert config["rope_parameters"]["rope_type"] == "yarn"


def test_a_training_reports_every_iteration_and_publishes_every_save(whole: Lab) -> None:
    lines = whole.lines()
    assert [line["iteration"] for line in lines if "loss" in line] == [*range(1, ITERATIONS + 1)]
    assert [line["iteration"] for line in lines if "save_s" in line] == [10, 20, 30]
    assert all(line["tokens"] > 0 and line["step_s"] > 0 for line in lines if "loss" in line)
    assert (whole.published(), whole.tracker()) == ([10, 20, 30], "30\n")
    result, beat = whole.trained, whole.last_beat
    assert (result["outcome"], result["iteration"]) == ("finished", ITERATIONS)
    assert result["final_loss"] == whole.losses()[ITERATIONS]
    assert result["tokens"] == sum(line.get("tokens", 0) for line in lines)
    assert result["peak_memory_bytes"] > 1 << 20
    assert result["first_save_s"] > 0
    assert set(result["versions"]) == {"python", "torch", "transformers", "peft"}
    assert (beat["phase"], beat["done"], beat["total"]) == ("stopping", ITERATIONS, ITERATIONS)
    assert beat["write_errors"] == 0
    log = whole.log("train").read_text()
    assert len([line for line in log.splitlines() if line.startswith("iteration 7/30 | loss")]) == 1
    assert "\r" not in log
    saves = [path.name for path in (whole.root / "work" / "trainer").glob("checkpoint-*")]
    assert saves == ["checkpoint-30"]


def test_what_report_to_names_is_told_as_well(whole: Lab) -> None:
    (board,) = (whole.root / "work" / "trainer" / "runs").glob("*/told.jsonl")
    for path in (board, whole.root / "work" / "wandb.jsonl"):
        assert told(path, "train/loss") == pytest.approx(whole.losses(), abs=1e-3), path


def test_stopped_twice_and_resumed_a_run_learns_as_if_nobody_had_touched_it(
    lab: Lab, whole: Lab
) -> None:
    assert_learns_the_same_though_stopped_twice(lab, whole)
    lrs = [{each["iteration"]: each.get("lr") for each in lab.lines() if "lr" in each}]
    assert lrs == [{each["iteration"]: each["lr"] for each in whole.lines() if "lr" in each}]


def test_stopped_while_loading_it_ends_at_once_and_has_saved_nothing(lab: Lab) -> None:
    process = lab.start("train", "train_reference", 1, {})
    while not lab.root.joinpath("heartbeat.json").exists() or lab.heartbeat()["seq"] < 3:
        assert process.poll() is None, lab.log("train").read_text()
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0, lab.log("train").read_text()
    result = lab.result()
    assert (result["outcome"], result["ok"], result["iteration"]) == ("stopped", True, 0)
    assert not (lab.root / "checkpoints").exists()


def test_a_merge_is_the_base_plus_the_adapter_and_loads_again(whole: Lab) -> None:
    result = whole.run("merge", "merge_reference")
    assert (result["outcome"], result["reloaded"], result["iteration"]) == ("finished", True, 30)
    merged, adapter = whole.root / "export" / "merged-hf-bf16", whole.root / "export" / "adapter-hf"
    assert sorted(path.name for path in whole.root.joinpath("export").iterdir()) == [
        "adapter-hf",
        "merged-hf-bf16",
    ]
    assert {path.name for path in adapter.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    config = json.loads((merged / "config.json").read_text())
    base = json.loads((whole.base / "config.json").read_text())
    assert config["rope_parameters"] == base["rope_parameters"]
    assert (merged / "tokenizer.json").read_bytes() == (whole.base / "tokenizer.json").read_bytes()
    assert "reloaded: 25 tensors" in whole.log("merge").read_text()
    assert not (whole.root / "work" / "keep-iterations").exists()
    assert_is_base_plus_adapter(merged, whole.base, adapter)


def test_a_measured_length_is_kept_and_evaluation_and_rotation_work(lab: Lab) -> None:
    calibrate = {"steps": 3, "seconds": 0.001, "min_iterations": 9, "checkpoints": 4}
    recipe = lab.recipe(keep_last=2, precision="bf16", schedule="linear")
    recipe["data"]["eval_interval"] = 5
    result = lab.run(
        "train", "train_reference", iterations=None, calibrate=calibrate, recipe=recipe
    )
    assert result["iteration"] == lab.heartbeat()["total"] == 12
    plan = json.loads((lab.root / "work" / "plan.json").read_text())
    assert (plan["iterations"], plan["save_interval"]) == (12, 3)
    assert lab.published() == [9, 12]
    evaluated = [line["iteration"] for line in lab.lines() if line.get("eval_loss")]
    assert evaluated == [5, 10, 12]
    rates = [line["lr"] for line in lab.lines() if "lr" in line]
    assert rates[-1] == pytest.approx(1e-3 / 10)
    assert "iterations chosen" in lab.log("train").read_text()


def test_a_smoke_run_measures_steps_saves_and_the_longest_rows(lab: Lab) -> None:
    smoke = {"iterations": 4, "saves": 2, "longest": 4}
    result = lab.run("train", "train_reference", iterations=None, smoke=smoke)
    measured = result["smoke"]
    assert (result["outcome"], measured["steps"], lab.published()) == ("finished", 4, [2, 4])
    figures = ("step_median_s", "first_save_s", "later_save_s", "longest_step_s")
    assert all(measured[name] > 0 for name in (*figures, "peak_memory_bytes"))
    assert not (lab.root / "export").exists()


@pytest.mark.parametrize(
    ("job", "says"),
    [
        pytest.param({"resume_from": 10}, "to resume from is not there", id="no checkpoint"),
        pytest.param({"paths": None}, "not usable", id="a broken job"),
        pytest.param({"tracker": "mlflow"}, "names mlflow, and", id="no package to report with"),
    ],
)
def test_a_training_that_cannot_begin_says_why(lab: Lab, job: dict[str, Any], says: str) -> None:
    if tracker := job.pop("tracker", None):
        job["recipe"] = lab.recipe(report_to=[tracker])
    assert lab.start("train", "train_reference", 1, job).wait() == 1
    result = lab.result()
    assert (result["ok"], result["outcome"]) == (False, "failed")
    assert says in result["cause"]
    assert "\n" not in result["cause"]


def test_a_merge_holds_what_transformers_leaves_out_of_the_base(tmp_path: Path, whole: Lab) -> None:
    from safetensors.torch import load_file

    lab = Lab(tmp_path / "run", base=strange_base(whole.base, tmp_path / "base"))
    lab.run("train", "train_reference", iterations=1)
    result = lab.run("merge", "merge_reference")
    assert (result["tensors"], result["taken_along"]) == (27, 3)
    merged = lab.root / "export" / "merged-hf-bf16"
    names = [f"model-0000{each}-of-00002.safetensors" for each in (1, 2)]
    new, old = {}, load_file(lab.base / "model.safetensors")
    for name in names:
        new |= load_file(merged / name)
    assert new.keys() == old.keys()
    assert new["lm_head.weight"].equal(new["model.embed_tokens.weight"])
    assert new["mtp.head.weight"].equal(old["mtp.head.weight"].bfloat16())
    assert "taken along from the base, unchanged: 3 tensors" in lab.log("merge").read_text()


def test_a_base_with_gaps_is_refused_before_a_night_is_spent_on_it(
    tmp_path: Path, whole: Lab
) -> None:
    import transformers
    from safetensors.torch import load_file, save_file

    from runners.payload.causes import StageError
    from runners.payload.hf_model import gaps_refused

    base = tmp_path / "base"
    shutil.copytree(whole.base, base)
    weights = load_file(base / "model.safetensors")
    del weights["model.layers.1.self_attn.q_proj.weight"]
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    lab = Lab(tmp_path / "run", base=base)
    assert lab.start("train", "train_reference", 1, {}).wait() == 1
    says = "lacks 1 of its tensors (model.layers.1.self_attn.q_proj.weight)"
    assert says in lab.result()["cause"]
    # As the unsloth lane hears of it, whose library does not pass it on.
    with pytest.raises(StageError, match=re.escape(says)), gaps_refused("the base"):
        transformers.AutoModelForCausalLM.from_pretrained(base)


def test_a_layer_that_is_none_is_refused_though_others_are_some(tmp_path: Path, whole: Lab) -> None:
    lab = Lab(tmp_path / "run", base=strange_base(whole.base, tmp_path / "base"))
    recipe = lab.recipe()
    for attempt, target, says in (
        (1, "kproj", "has no linear layer 'kproj'"),
        (2, "lm_head", "would change both"),
    ):
        recipe["lora"]["targets"] = ["q_proj", target]
        assert lab.start("train", "train_reference", attempt, {"recipe": recipe}).wait() == 1
        assert says in lab.result()["cause"]
