"""What a stage is asked to do, how long a training is, and the rows in their order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.payload.contract import Contract, StageError
from runners.payload.exporting import compare
from runners.payload.folders import begin_folder, put_in_place
from runners.payload.job import Calibration, Job, read_job
from runners.payload.rows import Order, read_order, read_rows
from runners.payload.shards import read_tensors
from runners.payload.training_plan import choose_plan, given_plan, keep_plan, kept_plan

PATHS = {"base": "/base", "data": "/data", "checkpoints": "/c", "work": "/w", "export": "/e"}
JOB: dict[str, Any] = {
    "schema": 1,
    "stage": "train",
    "recipe": {"train": {"micro_batch": 2, "accumulation": 8}},
    "paths": PATHS,
    "iterations": 625,
    "save_interval": 70,
}


def _read(tmp_path: Path, content: Any) -> Job:
    (tmp_path / "work").mkdir(exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "work" / "job.json").write_text(text)
    return read_job(Contract(tmp_path, stage="train"))


def test_a_job_is_read_whole(tmp_path: Path) -> None:
    job = _read(tmp_path, JOB | {"resume_from": 70, "forced_saves": [3], "smoke": None})
    assert (job.iterations, job.save_interval, job.resume_from) == (625, 70, 70)
    assert (job.batch_rows, job.base, job.forced_saves) == (16, Path("/base"), frozenset({3}))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param("", "missing or no JSON object", id="empty"),
        pytest.param("[1]", "missing or no JSON object", id="a list"),
        pytest.param(JOB | {"schema": 2}, "has schema 2", id="of a later version"),
        pytest.param(JOB | {"stage": "merge"}, "'merge'", id="of another stage"),
        pytest.param(JOB | {"paths": {}}, "'base'", id="without paths"),
        pytest.param(JOB | {"iterations": "many"}, "not usable", id="a word for a number"),
        pytest.param(JOB | {"calibrate": {"steps": 5}}, "'seconds'", id="half a calibration"),
    ],
)
def test_a_bad_job_is_one_sentence(tmp_path: Path, content: Any, says: str) -> None:
    with pytest.raises(StageError, match=says):
        _read(tmp_path, content)


def test_a_missing_job_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"job\.json is missing"):
        read_job(Contract(tmp_path, stage="train"))


@pytest.mark.parametrize(
    ("iterations", "saves", "forced"),
    [(10, 2, {5, 10}), (50, 2, {25, 50}), (1, 2, {1}), (3, 2, {2, 3}), (10, 3, {3, 7, 10})],
)
def test_a_smoke_run_saves_on_its_way_and_at_its_end(
    tmp_path: Path, iterations: int, saves: int, forced: set[int]
) -> None:
    smoke = {"iterations": iterations, "saves": saves, "longest": 4}
    plan = given_plan(_read(tmp_path, JOB | {"smoke": smoke}))
    assert (plan.iterations, plan.forced_saves) == (iterations, forced)
    assert plan.save_interval > iterations


def test_a_job_without_a_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no number of iterations"):
        given_plan(_read(tmp_path, JOB | {"iterations": None}))


@given(
    steps_s=st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=9),
    seconds=st.floats(0.1, 3600),
    least=st.integers(1, 500),
    checkpoints=st.integers(1, 20),
)
def test_a_chosen_plan_fills_the_time_and_ends_with_a_save(
    steps_s: list[float], seconds: float, least: int, checkpoints: int
) -> None:
    calibration = Calibration(
        steps=len(steps_s), seconds=seconds, min_iterations=least, checkpoints=checkpoints
    )
    plan = choose_plan(steps_s, calibration)
    assert plan.iterations == plan.save_interval * checkpoints
    assert plan.iterations >= least
    assert plan.step_s is not None
    if plan.iterations >= least + checkpoints:
        assert plan.iterations * plan.step_s <= seconds * 1.001
        assert (plan.iterations + checkpoints) * plan.step_s >= seconds * 0.999


def test_the_first_step_does_not_count() -> None:
    calibration = Calibration(steps=5, seconds=60, min_iterations=60, checkpoints=6)
    plan = choose_plan([9.0, 0.1, 0.1, 0.1, 0.1], calibration)
    assert (plan.iterations, plan.save_interval) == (600, 100)


def test_a_chosen_plan_is_kept_for_the_resume(tmp_path: Path) -> None:
    job = _read(tmp_path, JOB | {"paths": PATHS | {"work": str(tmp_path)}})
    assert kept_plan(job) is None
    calibration = Calibration(steps=5, seconds=60, min_iterations=60, checkpoints=6)
    plan = choose_plan([0.1, 0.1], calibration)
    keep_plan(plan, tmp_path)
    kept = kept_plan(job)
    assert kept is not None
    assert (kept.iterations, kept.save_interval) == (plan.iterations, plan.save_interval)
    (tmp_path / "plan.json").write_text('{"iterations": "x"}')
    assert kept_plan(job) is None


def _data(tmp_path: Path, rows: str, order: str = '{"order": [0]}') -> tuple[Path, Path]:
    (tmp_path / "train.jsonl").write_text(rows)
    (tmp_path / "order.json").write_text(order)
    return tmp_path / "train.jsonl", tmp_path / "order.json"


def test_only_masked_tokens_count_for_the_loss(tmp_path: Path) -> None:
    path, _ = _data(tmp_path, '{"ids": [5, 6, 7], "mask": [0, 1, 1]}\n')
    assert read_rows(path)[0].labels() == [-100, 6, 7]


@pytest.mark.parametrize(
    ("rows", "order", "says"),
    [
        pytest.param("", '{"order": [0]}', "holds no row", id="no rows"),
        pytest.param("[]\n", '{"order": [0]}', "line 1", id="a row that is a list"),
        pytest.param('{"ids": [1], "mask": []}\n', "{}", "differ in length", id="a short mask"),
        pytest.param('{"ids": [], "mask": []}\n', "{}", "line 1", id="an empty row"),
        pytest.param('{"ids": [1], "mask": [1]}\n{', "{}", "line 2", id="a torn last line"),
        pytest.param('{"ids": [1], "mask": [1]}\n', "{}", "no list", id="no order"),
        pytest.param('{"ids": [1], "mask": [1]}\n', '{"order": []}', "no row", id="empty order"),
        pytest.param(
            '{"ids": [1], "mask": [1]}\n', '{"order": [1]}', "names row 1", id="a row too far"
        ),
    ],
)
def test_bad_data_is_one_sentence_with_its_place(
    tmp_path: Path, rows: str, order: str, says: str
) -> None:
    path, order_path = _data(tmp_path, rows, order)
    with pytest.raises(StageError, match=says):
        read_order(order_path, read_rows(path))


def test_missing_data_says_which_stage_makes_it(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="prepare stage has to run first"):
        read_rows(tmp_path / "train.jsonl")


@given(indices=st.lists(st.integers(0, 99), min_size=1, max_size=50), rows=st.integers(1, 8))
def test_batches_follow_the_order_and_begin_it_again_at_its_end(
    indices: list[int], rows: int
) -> None:
    order = Order(indices, [])
    drawn = [each for number in range(1, 9) for each in order.batch(number, rows)]
    assert drawn == (indices * (len(drawn) // len(indices) + 1))[: len(drawn)]


BASE = {"a.weight": ("BF16", (4, 2)), "b.weight": ("F32", (4,))}


@pytest.mark.parametrize(
    ("merged", "says"),
    [
        pytest.param({"a.weight": ("BF16", (4, 2))}, "b.weight", id="a tensor lost"),
        pytest.param(
            {"a.weight": ("BF16", (4, 2)), "b.weight": ("F32", (4,))}, "is F32", id="not bf16"
        ),
        pytest.param(
            {"a.weight": ("BF16", (2, 4)), "b.weight": ("BF16", (4,))}, "is \\(2, 4\\)", id="shape"
        ),
        pytest.param(
            {"a.weight": ("BF16", (4, 2)), "b.weight": ("BF16", (4,)), "c": ("BF16", (1,))},
            "'c'",
            id="an adapter left in",
        ),
    ],
)
def test_a_merge_that_lost_something_is_refused(
    merged: dict[str, tuple[str, tuple[int, ...]]], says: str
) -> None:
    with pytest.raises(StageError, match=says):
        compare(BASE, merged)
    compare(BASE, {name: ("BF16", shape) for name, (_, shape) in BASE.items()})


def test_a_broken_weights_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(StageError, match="no whole safetensors file"):
        read_tensors(tmp_path)


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "export" / "merged"
    for content in ("one", "two"):
        new = begin_folder(target)
        (new / content).write_text(content)
        put_in_place(new, target)
    assert [path.name for path in target.iterdir()] == ["two"]
    assert [path.name for path in target.parent.iterdir()] == ["merged"]
