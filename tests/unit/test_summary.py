"""summary.json: figures of a run that really lie in its files; what is not known is null."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monitor.rundir import RunDir
from runners.summary import summarise, write_summary

STATE: dict[str, Any] = {
    "status": "finished",
    "cause": None,
    "attempt": 1,
    "stages": [{"name": "train", "status": "done", "wall_s": 130.0}],
}


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    made = RunDir(tmp_path / "reference-20260101-000000-0000")
    made.root.mkdir()
    made.run_json.write_text(
        json.dumps({"lane": "reference", "kind": "full", "recipe_hash": "h", "recipe": {}})
    )
    return made


def metrics(run: RunDir, *lines: dict[str, Any]) -> None:
    run.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))


def step(iteration: int, attempt: int = 1, **more: Any) -> dict[str, Any]:
    told = {"attempt": attempt, "iteration": iteration, "step_s": 2.0, "tokens": 100, "loss": 1.0}
    return told | more


def test_pace_saves_and_loss(run: RunDir) -> None:
    metrics(
        run,
        step(1, step_s=10.0),
        step(2),
        {"attempt": 1, "iteration": 2, "save_s": 50.0},
        step(3),
        {"attempt": 1, "iteration": 3, "save_s": 1.0},
        step(4, loss=0.5),
        {"attempt": 1, "iteration": 4, "save_s": 3.0},
    )
    summary = summarise(run, STATE)
    assert summary["iterations"] == 4
    assert (summary["step_median_s"], summary["step_p95_s"]) == (2.0, 10.0)
    assert (summary["first_save_s"], summary["save_median_s"], summary["saves"]) == (50.0, 2.0, 3)
    assert summary["final_loss"] == 0.5
    assert summary["tokens_per_s"] == pytest.approx(400 / 16)
    assert summary["train_wall_s"] == 130.0


def test_what_is_not_known_is_null(run: RunDir) -> None:
    summary = summarise(run, {"status": "failed", "stages": []})
    unknown = ("iterations", "step_median_s", "first_save_s", "tokens_per_s", "train_wall_s")
    assert {key: summary[key] for key in unknown} == dict.fromkeys(unknown)
    assert summary["idle_minutes"] is None
    assert summary["peak_memory_bytes"] is None


def test_what_an_earlier_attempt_did_beyond_the_last_one_is_lost(run: RunDir) -> None:
    lines = [step(each, loss=9.0) for each in range(1, 11)]
    metrics(run, *lines, *[step(each, attempt=2) for each in range(5, 8)])
    summary = summarise(run, STATE)
    assert (summary["iterations"], summary["final_loss"]) == (7, 1.0)


def test_a_resumed_run_tells_the_wall_of_all_its_attempts(run: RunDir) -> None:
    assert summarise(run, STATE | {"earlier_train_wall_s": 70.0})["train_wall_s"] == 200.0
    skipped = {**STATE, "stages": [{"name": "train", "status": "skipped"}]}
    assert summarise(run, skipped | {"earlier_train_wall_s": 70.0})["train_wall_s"] == 70.0


def smoke_of(run: RunDir, **train: Any) -> None:
    recipe = {"train": {"iterations": 100, "save_interval": 50, **train}}
    info = {"lane": "reference", "kind": "smoke", "recipe_hash": "h", "recipe": recipe}
    run.run_json.write_text(json.dumps(info))
    measured = {"step_median_s": 2.0, "first_save_s": 5.0, "later_save_s": 1.0}
    run.result.write_text(json.dumps({"smoke": measured | {"peak_memory_bytes": 7}}))


def test_a_smoke_run_projects_the_whole(run: RunDir) -> None:
    smoke_of(run)
    projection = summarise(run, STATE)["projection"]
    assert (projection["naive_s"], projection["save_aware_s"]) == (200.0, 206.0)
    assert projection["peak_memory_bytes"] == 7


def smoke_before(run: RunDir, **train: Any) -> RunDir:
    """A smoke run of the same recipe that ended before *run*."""
    smoke = RunDir(run.root.with_name("reference-20251231-000000-0000"))
    smoke.root.mkdir()
    smoke_of(smoke, **train)
    write_summary(smoke, STATE)
    return smoke


def test_the_newest_smoke_run_of_the_same_recipe_is_held_against_the_truth(run: RunDir) -> None:
    smoke = smoke_before(run)
    errors = summarise(run, STATE)["projection_errors"]
    assert errors["smoke_run"] == smoke.root.name
    assert errors["naive"] == pytest.approx(200 / 130 - 1)
    assert errors["percent"] == {"naive": 53.8, "padded": 78.5, "save_aware": 58.5}
    assert (errors["actual_s"], errors["actual_from"]) == (130.0, "stage")


def test_loading_and_lost_iterations_are_no_error_of_a_projection(run: RunDir) -> None:
    smoke_before(run, iterations=4, save_interval=2)
    lines = [step(each) for each in range(1, 5)]
    metrics(
        run,
        *lines,
        *[step(each, attempt=2) for each in range(3, 5)],
        {"attempt": 1, "iteration": 2, "save_s": 5.0},
        {"attempt": 2, "iteration": 4, "save_s": 1.0},
        {"attempt": 2, "iteration": 4, "eval_loss": 1.0, "eval_s": 6.0},
    )
    errors = summarise(run, STATE | {"attempt": 2})["projection_errors"]
    assert (errors["actual_s"], errors["actual_from"]) == (4 * 2.0 + 6.0 + 6.0, "metrics")
    assert errors["evals_s"] == 6.0
    assert errors["percent"]["save_aware"] == round(100 * (14.0 / 20.0 - 1), 1)


def test_a_run_that_did_not_finish_proves_no_projection_wrong(run: RunDir) -> None:
    smoke_before(run)
    assert summarise(run, STATE | {"status": "failed"})["projection_errors"] is None


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(lambda run: smoke_of(run, save_interval=0), id="nonsense in the recipe"),
        pytest.param(lambda run: run.run_json.write_text('{"recipe": 7}'), id="foreign run.json"),
        pytest.param(lambda run: run.metrics.mkdir(), id="metrics are a folder"),
        pytest.param(lambda run: run.telemetry.write_text("no database"), id="no telemetry"),
    ],
)
def test_foreign_content_never_keeps_a_run_from_ending(run: RunDir, break_it: Any) -> None:
    break_it(run)
    write_summary(run, STATE)  # whatever it could write: it must not raise
