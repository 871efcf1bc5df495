"""The unsloth lane for real: the real package trains a tiny Qwen3 with YARN on the CPU.

By way of the command line, on the `local` engine, beside the same recipe in the reference lane.
"""

from __future__ import annotations

import json
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from conftest import Lanewatch, read, state, trained, until
from lane_cache import CACHE, MADE_S

from monitor.metrics import read_metrics
from monitor.rundir import RunDir

pytestmark = [pytest.mark.timeout(1800), pytest.mark.xdist_group("unsloth")]
ITERATIONS = 80
"""So many that a stop is carried out before the last, also where a command takes seconds."""


@pytest.fixture(autouse=True)
def _shared_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANEWATCH_CACHE", str(CACHE))


def launch(lanewatch: Lanewatch, *words: str, when: str = "--anyway", **settings: Any) -> RunDir:
    """Start a run of the unsloth lane; returns once its environment is there."""
    run = lanewatch.launch("--lane=unsloth", when, *words, **settings)
    until(lambda: stage(run, "import") not in ("pending", "running"), "the environment", MADE_S)
    assert stage(run, "import") == "done", run.log("import").read_text()[-3000:]
    return run


def stage(run: RunDir, name: str) -> str:
    found = {each["name"]: each["status"] for each in state(run).get("stages", ())}
    return str(found.get(name, "pending"))


def finish(lanewatch: Lanewatch, run: RunDir) -> dict[str, Any]:
    """Wait for the end and return the status; a failure shows the log."""
    done = lanewatch.call("wait", run.root.name)
    logs = "\n".join(path.read_text()[-3000:] for path in run.logs.glob("*.log"))
    assert done.returncode == 0, f"{done.stdout}{done.stderr}{logs}"
    return dict(lanewatch.json("status", run.root.name))


def tensors(path: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(path))


def test_after_the_reference_lane_in_one_night_stopped_and_resumed_it_learns_the_same(
    lanewatch: Lanewatch,
) -> None:
    reference = lanewatch.launch(iterations=ITERATIONS, save_interval=8)
    after = f"--after={reference.root.name}"
    run = launch(lanewatch, when=after, iterations=ITERATIONS, save_interval=8)
    assert state(reference)["status"] == "finished"
    ended = max(each["ended_wall"] for each in state(reference)["stages"])
    assert min(each["started_wall"] for each in state(run)["stages"][:1]) >= ended
    until(lambda: trained(run) >= 3, "three iterations")
    lanewatch("stop", run.root.name, "--save")
    lanewatch("wait", run.root.name, code=1)
    stopped = lanewatch.json("status", run.root.name)
    at = stopped["iteration"]["value"]
    assert stopped["verdict"] == "stopped", run.log("train").read_text()[-3000:]
    assert 3 <= at < ITERATIONS
    assert stopped["checkpoints"][-1]["iteration"] == at

    lanewatch("resume", run.root.name)
    status = finish(lanewatch, run)
    assert (status["verdict"], status["attempt"]) == ("finished", 2)
    _learnt_alike(run, reference, at)
    _exported_alike(run, reference)
    _merged_again(lanewatch, run)


def _learnt_alike(run: RunDir, reference: RunDir, at: int) -> None:
    """The same ids, and of every iteration the same loss and learning rate."""
    ids = [read(each.data / "manifest.json")["ids_sha256"] for each in (run, reference)]
    assert ids[0] == ids[1]
    ours, theirs = (read_metrics(each.metrics).iterations for each in (run, reference))
    assert [each.iteration for each in ours] == [*range(1, ITERATIONS + 1)]
    assert [each.attempt for each in ours] == [1] * at + [2] * (ITERATIONS - at)
    assert [each.lr for each in ours] == pytest.approx([each.lr for each in theirs])
    # On a CPU both are the same arithmetic, drop-out included.
    assert [each.loss for each in ours] == pytest.approx([each.loss for each in theirs], abs=1e-4)


def _exported_alike(run: RunDir, reference: RunDir) -> None:
    """The same adapter by name, shape and number; a merged model that transformers reads."""
    ours, theirs = (
        tensors(each.export / "adapter-hf" / "adapter_model.safetensors")
        for each in (run, reference)
    )
    assert {name: each.shape for name, each in ours.items()} == {
        name: each.shape for name, each in theirs.items()
    }
    count = sum(each.numel() for each in ours.values())
    assert count == sum(each.numel() for each in theirs.values()) > 0
    configs = [
        read(each.export / "adapter-hf" / "adapter_config.json") for each in (run, reference)
    ]
    for name in ("r", "lora_alpha", "lora_dropout", "bias", "peft_type", "task_type"):
        assert configs[0][name] == configs[1][name], name
    merged = [each.export / "merged-hf-bf16" for each in (run, reference)]
    assert {path.name for path in merged[0].iterdir()} == {
        path.name for path in merged[1].iterdir()
    }
    assert read(merged[0] / "config.json") == read(merged[1] / "config.json")
    new, other = (tensors(each / "model.safetensors") for each in merged)
    for name, weight in new.items():
        assert weight.float().allclose(other[name].float(), atol=1e-2), name
    _loads_and_answers(merged[0], run)


def _merged_again(lanewatch: Lanewatch, run: RunDir) -> None:
    """`launch --from merge`: the same model from what *run* has trained."""
    words = ("--lane=unsloth", "--anyway", "--from=merge")
    again = lanewatch.launch(*words, iterations=ITERATIONS, save_interval=8)
    assert finish(lanewatch, again)["verdict"] == "finished"
    skipped = [each["name"] for each in state(again)["stages"] if each["status"] == "skipped"]
    assert skipped == ["fetch", "prepare", "train"]
    assert read(again.run_json)["taken_from"]["run"] == run.root.name
    merged = [each.export / "merged-hf-bf16" / "model.safetensors" for each in (run, again)]
    assert merged[0].read_bytes() == merged[1].read_bytes()


def _loads_and_answers(folder: Path, run: RunDir) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.rope_parameters["rope_type"] == "yarn"
    assert model.dtype == torch.bfloat16
    ids = json.loads((run.data / "train.jsonl").read_text().splitlines()[0])["ids"]
    with torch.inference_mode():
        assert bool(torch.isfinite(model(input_ids=torch.tensor([ids])).logits).all())


def test_the_doctor_proves_the_lane(lanewatch: Lanewatch, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    words = ("--lane=unsloth", "--engine=local", f"--report={file}")
    done = lanewatch.call("doctor", "--prove", *words, patience_s=MADE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("proven: unsloth on local")
    report = read(file)
    seen = {each["step"]: each["seen"] for each in report["steps"]}
    assert all(each["ok"] for each in report["steps"])
    assert seen["launch"] == "the unsloth lane trains on the local engine"
    assert seen["stop --save"].startswith("saved and stopped at iteration")
    assert seen["merge and reload"] == "25 tensors merged in bf16, loaded again, logits finite"
    assert report["trainer"]["unsloth"] == "2026.10.9"
    assert str(CACHE) not in file.read_text()


def test_a_measured_length_evaluations_rotation_and_16_bits(lanewatch: Lanewatch) -> None:
    run = launch(
        lanewatch,
        "--set=train.iterations=auto",
        "--set=train.auto_seconds=0.01",
        "--set=train.auto_min_iterations=9",
        "--set=train.auto_checkpoints=3",
        "--set=train.keep_last=2",
        "--set=train.precision=bf16",
        "--set=lanes.unsloth.fused_lora=false",
        "--set=train.report_to=['tensorboard']",
        "--set=data.eval_fraction=0.05",
        "--set=data.eval_interval=4",
        iterations=9,
        save_interval=3,
    )
    finish(lanewatch, run)
    assert "9 iterations chosen" in run.log("train").read_text()
    assert sorted(path.name for path in run.checkpoints.glob("iter_*")) == [
        "iter_0000006",
        "iter_0000009",
    ]
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert [line["iteration"] for line in lines if line.get("eval_loss")] == [4, 8, 9]
    assert read(run.result)["reloaded"] is True
    assert list(run.root.rglob("events.out.tfevents.*"))


def test_a_smoke_run_in_4_bits_with_the_interpreters_own_packages(
    lanewatch: Lanewatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = launch(lanewatch, "--smoke=2", iterations=9, save_interval=3)
    lanewatch("kill", made.root.name)
    site = read(made.work / "environment.json")["site"]
    monkeypatch.setenv("LANEWATCH_PYTHON", str(_python_with(tmp_path / "own", site)))
    run = launch(
        lanewatch,
        "--smoke=4",
        "--set=lanes.unsloth.packages=interpreter",
        "--set=lanes.unsloth.load_in_4bit=true",
        iterations=30,
        save_interval=10,
    )
    finish(lanewatch, run)
    assert read(run.work / "environment.json")["site"] is None
    result = read(run.result)
    assert result["fast_path"]["on"] is False
    assert "no GPU" in result["fast_path"]["reason"]
    assert result["versions"]["unsloth"] == "2026.10.9"
    assert result["trainable_parameters"] > 0
    assert "4-bit = True" in run.log("train").read_text()
    assert read(run.summary)["projection"]["iterations"] == 30
    assert not run.export.exists()


def _python_with(folder: Path, site: str) -> Path:
    """A Python that has the lane's packages as its own, and the tests' torch behind them."""
    venv.create(folder, with_pip=False, symlinks=True)
    library = next((folder / "lib").glob("python*/site-packages"))
    behind = next(each for each in sys.path if each.endswith("site-packages"))
    (library / "own.pth").write_text(f"{site}\n{behind}\n")
    return folder / "bin" / "python"


def test_stopped_while_it_loads_it_has_stopped_and_saved_nothing(lanewatch: Lanewatch) -> None:
    run = launch(lanewatch, iterations=ITERATIONS, save_interval=8)
    until(lambda: read(run.heartbeat).get("stage") == "train", "the train stage")
    lanewatch("stop", run.root.name, "--save")
    lanewatch("wait", run.root.name, code=1)
    status = lanewatch.json("status", run.root.name)
    assert status["verdict"] == "stopped", status["cause"]
    assert "nothing saved" in status["cause"]
    assert status["checkpoints"] == []


def test_a_python_without_unsloth_is_told_how_to_get_it(lanewatch: Lanewatch) -> None:
    run = lanewatch.launch(
        "--lane=unsloth",
        "--anyway",
        "--set=lanes.unsloth.packages=interpreter",
        iterations=3,
        save_interval=3,
    )
    lanewatch("wait", run.root.name, code=1)
    cause = lanewatch.json("status", run.root.name)["cause"]
    assert "lacks unsloth" in cause
    assert "`pip install '.[unsloth]'` there, in a checkout of lanewatch" in cause


def test_a_dry_run_shows_the_stages_and_installs_nothing(
    lanewatch: Lanewatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANEWATCH_CACHE", str(tmp_path / "unused"))
    recipe = str(Path(__file__).parents[2] / "recipes" / "demo.toml")
    plan = lanewatch.json("launch", recipe, "--lane=unsloth", "--engine=local", "--dry-run")
    assert [each["stage"] for each in plan["stages"]] == [
        "import",
        "fetch",
        "prepare",
        "train",
        "merge",
    ]
    assert plan["stages"][3]["env"]["UNSLOTH_DISABLE_STATISTICS"] == "1"
    assert not (tmp_path / "unused").exists()
    words = ("launch", recipe, "--lane=unsloth", "--engine=local", "--dry-run")
    said = lanewatch(*words, code=78, LANEWATCH_WHEELHOUSE="/nowhere")
    assert "launch.wheelhouse: there is no folder /nowhere" in said
