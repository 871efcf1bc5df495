"""The nemo lane for real: Megatron-Bridge imports, trains, stops, resumes, merges, on the CPU.

Each stage is a process of its own, started from a copied payload as in production; what is stood in
for (CUDA, packages that a LoRA does not use) is in nemo_shims.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import RECIPE, Lanewatch, read, state, until
from lane_lab import (
    ITERATIONS,
    Lab,
    assert_is_base_plus_adapter,
    assert_learns_the_same_though_stopped_twice,
    strange_base,
)
from nemo_site import environment, python, site_or_skip, version
from trackers import put_trackers, told

from monitor.rundir import RunDir
from runners.recipe.comparison import adapter_parameters
from runners.recipe.model import Recipe

ADAPTER_PARAMETERS = 2 * (4 * (128 + 128) * 2 + 4 * (128 + 64) * 2)
"""Two layers, rank 4: q and o are 128 wide, k and v 64, each with an A and a B."""


RUN_S = 900.0
"""For stages that take ten seconds each, on a machine that does other things."""

pytestmark = pytest.mark.timeout(1800)


class NemoLab(Lab):
    """A run of the nemo lane."""

    train_module = "train_nemo"

    def recipe(self, **train: Any) -> dict[str, Any]:
        recipe = super().recipe(**{"keep_last": 2} | train)
        recipe["lora"]["dropout"] = 0.0  # on the CPU its random numbers are not those of a GPU
        return recipe | {"lanes": {"nemo": {"lora": "canonical"}}}


@pytest.fixture(scope="module")
def site() -> Path:
    return site_or_skip()


@pytest.fixture(scope="module")
def around(site: Path) -> dict[str, str]:
    return environment(site)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, around: dict[str, str]) -> NemoLab:
    """A run that nobody disturbed: fetched, imported and trained to its end."""
    folder = tmp_path_factory.mktemp("lane")
    fetched = Lab(folder / "fetched")
    fetched.run("fetch", "make_tiny")
    lab = NemoLab(folder / "whole", base=fetched.base, environment=around)
    lab.imported = lab.run("import", "import_nemo")
    lab.run("train", "train_nemo")
    lab.trained, lab.last_beat = lab.result(), lab.heartbeat()
    return lab


@pytest.fixture
def lab(tmp_path: Path, whole: NemoLab, around: dict[str, str]) -> NemoLab:
    """A new run with the base and the import of the whole one."""
    made = NemoLab(tmp_path / "run", base=whole.base, environment=around)
    made.cache = whole.cache
    shutil.copyfile(whole.root / "work" / "import.json", made.root / "work" / "import.json")
    return made


def test_the_import_has_the_rope_and_the_answers_of_the_base(whole: NemoLab, site: Path) -> None:
    result = whole.imported
    assert (result["made"], result["rope_error"]) == (True, pytest.approx(0.0, abs=1e-6))
    assert result["logit_difference"] < 0.03  # bf16
    assert result["versions"]["megatron-bridge"] == version(site)
    assert result["yarn"]["yarn_correction_range_round_to_int"] is True
    marker = json.loads((Path(result["folder"]) / "import.json").read_text())
    assert marker["source"] == str(whole.base)


def test_a_training_reports_every_iteration_and_publishes_every_save(whole: NemoLab) -> None:
    lines = whole.lines()
    assert [line["iteration"] for line in lines if "loss" in line] == [*range(1, ITERATIONS + 1)]
    assert [line["iteration"] for line in lines if "save_s" in line] == [10, 20, 30]
    assert (whole.published(), whole.tracker()) == ([20, 30], "30\n")
    result, beat = whole.trained, whole.last_beat
    assert (result["outcome"], result["iteration"]) == ("finished", ITERATIONS)
    assert result["final_loss"] == whole.losses()[ITERATIONS]
    assert result["tokens"] == sum(line.get("tokens", 0) for line in lines)
    assert result["trainable_parameters"] == ADAPTER_PARAMETERS
    assert (beat["phase"], beat["done"], beat["total"]) == ("stopping", ITERATIONS, ITERATIONS)
    assert beat["write_errors"] == 0
    kept = [path.name for path in (whole.root / "work" / "trainer").glob("iter_*")]
    assert kept == ["iter_0000030"]


def test_stopped_twice_and_resumed_a_run_learns_as_if_nobody_had_touched_it(
    lab: NemoLab, whole: NemoLab
) -> None:
    assert_learns_the_same_though_stopped_twice(lab, whole)


def test_a_merge_is_the_base_plus_the_adapter_and_loads_again(whole: NemoLab) -> None:
    result = whole.run("merge", "merge_nemo")
    assert (result["outcome"], result["reloaded"], result["iteration"]) == ("finished", True, 30)
    merged, adapter = whole.root / "export" / "merged-hf-bf16", whole.root / "export" / "adapter-hf"
    config = json.loads((merged / "config.json").read_text())
    base = json.loads((whole.base / "config.json").read_text())
    assert config["rope_parameters"] == base["rope_parameters"]
    assert config["dtype"] == "bfloat16"
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (merged / name).read_bytes() == (whole.base / name).read_bytes()
    told = json.loads((adapter / "adapter_config.json").read_text())
    assert (told["r"], told["lora_alpha"], told["peft_type"]) == (4, 8, "LORA")
    assert sorted(told["target_modules"]) == ["k_proj", "o_proj", "q_proj", "v_proj"]
    assert_is_base_plus_adapter(merged, whole.base, adapter)
    _assert_peft_agrees(merged, whole.base, adapter)


def _assert_peft_agrees(merged: Path, base: Path, adapter: Path) -> None:
    """What PEFT makes of the exported adapter answers as the exported model does."""
    import peft
    import torch
    import transformers

    load = transformers.AutoModelForCausalLM.from_pretrained
    ids = torch.tensor([[5, 9, 40, 77, 130, 200]])
    ours = load(merged, dtype=torch.float32)
    theirs = peft.PeftModel.from_pretrained(load(base, dtype=torch.float32), adapter)
    with torch.inference_mode():
        difference = (ours(ids).logits - theirs(ids).logits).abs().max()
        assert difference < 0.05 * ours(ids).logits.std()


def test_both_lanes_train_on_the_same_ids_masks_and_order_by_the_same_schedule(
    lab: NemoLab, whole: NemoLab, tmp_path: Path
) -> None:
    # Nothing is learnt: a loss tells which tokens were counted.
    recipe = lab.recipe(lr=1e-12, report_to=["tensorboard", "wandb"])
    recipe["data"]["eval_interval"] = 5
    job = {"recipe": recipe, "iterations": 12, "save_interval": 12}
    trackers = str(put_trackers(tmp_path / "trackers"))
    lab.environment["PYTHONPATH"] += os.pathsep + trackers
    ours = lab.run("train", "train_nemo", **job)
    reference = Lab(tmp_path / "reference", base=whole.base, environment={"PYTHONPATH": trackers})
    recipe = recipe | {"lanes": {"reference": {"device": "cpu", "threads": 1}}}
    theirs = reference.run("train", "train_reference", **job | {"recipe": recipe})
    assert ours["trainable_parameters"] == theirs["trainable_parameters"] == ADAPTER_PARAMETERS
    checked = Recipe.model_validate({"data": {"path": "-"}, "lora": recipe["lora"]})
    assert adapter_parameters(checked, read(whole.base / "config.json")) == ADAPTER_PARAMETERS
    assert lab.losses() == pytest.approx(reference.losses(), abs=2e-4)
    assert len({round(loss, 3) for loss in lab.losses().values()}) > 6
    for figure, room in (("tokens", 0), ("lr", 1e-18)):
        found, wanted = (
            {line["iteration"]: line[figure] for line in each.lines() if figure in line}
            for each in (lab, reference)
        )
        assert found == pytest.approx(wanted, abs=room)
    evaluated = {line["iteration"]: line["eval_loss"] for line in lab.lines() if "eval_s" in line}
    assert sorted(evaluated) == [5, 10, 12]
    assert ours["eval_loss"] == pytest.approx(theirs["eval_loss"], rel=0.05)
    for path in (
        lab.root / "work" / "tensorboard" / "told.jsonl",
        lab.root / "work" / "wandb.jsonl",
    ):
        assert told(path, "lm loss") == pytest.approx(lab.losses(), abs=1e-3), path


def test_killed_between_the_tracker_and_the_last_file_it_resumes_from_what_is_whole(
    lab: NemoLab, whole: NemoLab
) -> None:
    """Megatron's own tracker names such a checkpoint, and would fail at every resume."""
    shutil.copytree(whole.root / "checkpoints", lab.root / "checkpoints")
    shutil.rmtree(lab.root / "checkpoints" / "iter_0000030")
    (lab.root / "checkpoints" / "latest_checkpointed_iteration.txt").write_text("20\n")
    tree = lab.root / "work" / "trainer"
    shutil.copytree(whole.root / "work" / "trainer", tree)
    assert (tree / "latest_checkpointed_iteration.txt").read_text() == "30"
    (tree / "iter_0000030" / "run_config.yaml").unlink()
    published = lab.root / "checkpoints" / "iter_0000020"
    before = {path: path.read_bytes() for path in published.rglob("*") if path.is_file()}
    result = lab.run("train", "train_nemo", attempt=2, resume_from=20)
    assert (result["outcome"], result["iteration"]) == ("finished", ITERATIONS)
    assert min(lab.losses()) == 21
    assert {path: path.read_bytes() for path in before} == before
    assert lab.published() == [20, 30]
    missed = lab.start("train", "train_nemo", 3, {"resume_from": 10})
    assert missed.wait() == 1
    assert "the checkpoint to resume from is not there" in lab.result()["cause"]


def test_the_articles_fused_adapter_in_bf16_and_a_smoke_run(lab: NemoLab, whole: NemoLab) -> None:
    recipe = lab.recipe(precision="bf16", seed=0)  # which Megatron itself refuses
    recipe["lanes"]["nemo"]["lora"] = "fused"
    smoke = {"iterations": 5, "saves": 2, "longest": 1}
    job = {"recipe": recipe, "iterations": None, "smoke": smoke}
    result = lab.run("train", "train_nemo", **job)
    assert result["trainable_parameters"] < ADAPTER_PARAMETERS  # q, k and v share one A
    measured = result["smoke"]
    assert (result["outcome"], measured["steps"], lab.published()) == ("finished", 5, [2, 5])
    figures = ("step_median_s", "first_save_s", "later_save_s", "longest_step_s")
    assert all(measured[name] > 0 for name in figures)
    lab.run("merge", "merge_nemo", attempt=2, recipe=recipe, iteration=2)
    assert lab.result()["iteration"] == 2
    merged, adapter = lab.root / "export" / "merged-hf-bf16", lab.root / "export" / "adapter-hf"
    assert_is_base_plus_adapter(merged, whole.base, adapter)


def test_a_merge_holds_what_megatron_leaves_out_of_the_base(
    tmp_path: Path, whole: NemoLab, around: dict[str, str]
) -> None:
    lab = NemoLab(
        tmp_path / "run", base=strange_base(whole.base, tmp_path / "base"), environment=around
    )
    lab.run("import", "import_nemo")
    lab.run("train", "train_nemo", iterations=1)
    result = lab.run("merge", "merge_nemo")
    # Megatron-Bridge writes the second copy of tied embeddings itself.
    assert (result["tensors"], result["taken_along"]) == (27, 2)


def test_of_two_launches_at_once_one_imports_and_the_other_waits(
    tmp_path: Path, whole: NemoLab, around: dict[str, str]
) -> None:
    labs = [NemoLab(tmp_path / name, base=whole.base, environment=around) for name in "ab"]
    processes = [lab.start("import", "import_nemo", 1, {}) for lab in labs]
    for lab, process in zip(labs, processes, strict=True):
        assert process.wait() == 0, lab.log("import").read_text()
    results = [lab.result() for lab in labs]
    assert sorted(result["made"] for result in results) == [False, True]
    assert {result["folder"] for result in results} == {results[0]["folder"]}
    assert Path(results[0]["folder"]).name == Path(whole.imported["folder"]).name
    left = {path.name for path in (tmp_path / "cache" / "imports").iterdir()}
    name = Path(results[0]["folder"]).name
    assert left == {name, f".{name}.lock"}


def test_launched_like_any_lane_and_exported_again(
    lanewatch: Lanewatch, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANEWATCH_PYTHON", str(python(tmp_path, site)))
    words = ("launch", str(RECIPE), "--lane=nemo", "--engine=local")
    refused = lanewatch(*words, code=2)
    assert 'the nemo lane cannot train this recipe: train.iterations = "auto"' in refused
    settings = ("--set=train.iterations=6", "--set=train.save_interval=3")
    run = RunDir(lanewatch.root / lanewatch(*words, *settings).strip())
    until(lambda: _over(run), "its end", RUN_S)
    done = lanewatch.json("wait", run.root.name)
    assert (done["verdict"], done["iteration"]["value"]) == ("finished", 6)
    assert [each["iteration"] for each in done["checkpoints"] if each["complete"]] == [3, 6]
    assert [each["name"] for each in state(run)["stages"]] == [
        "fetch", "prepare", "import", "train", "merge",
    ]  # fmt: skip
    assert read(run.result)["reloaded"] is True
    lanewatch("export", run.root.name, "--iteration=3")
    until(lambda: state(run)["attempt"] == 2 and _over(run), "the end of the export", RUN_S)
    assert lanewatch.json("wait", run.root.name)["verdict"] == "finished"
    assert (read(run.result)["iteration"], read(run.result)["stage"]) == (3, "merge")
    statuses = {each["name"]: each["status"] for each in state(run)["stages"]}
    assert (statuses["train"], statuses["import"], statuses["merge"]) == ("skipped", "done", "done")
    early = _merged(run)
    again = RunDir(lanewatch.root / lanewatch(*words, *settings, "--from=merge").strip())
    until(lambda: _over(again), "the end of the run that began at its merge", RUN_S)
    assert lanewatch.json("wait", again.root.name)["verdict"] == "finished"
    taken = {each["name"]: each["status"] for each in state(again)["stages"]}
    assert taken == {
        "fetch": "skipped", "prepare": "skipped", "import": "done", "train": "skipped",
        "merge": "done",
    }  # fmt: skip
    assert (read(again.result)["iteration"], read(again.result)["reloaded"]) == (6, True)
    assert read(again.run_json)["taken_from"]["run"] == run.root.name
    assert _merged(again) != early


def _merged(run: RunDir) -> bytes:
    return (run.export / "merged-hf-bf16" / "model.safetensors").read_bytes()


def _over(run: RunDir) -> bool:
    return state(run).get("status") in ("finished", "failed", "stopped")
