"""The highest attempt of an iteration counts, and a growing file is read once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.metrics import Eval, Metric, MetricsFollower, Save, parse_record, read_metrics


def append(path: Path, *lines: dict[str, Any] | bytes) -> None:
    with path.open("ab") as stream:
        for line in lines:
            stream.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")


def step(iteration: int, attempt: int = 1, **more: Any) -> dict[str, Any]:
    return {"attempt": attempt, "iteration": iteration, "loss": 1.0 / iteration, **more}


def test_each_kind_of_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append(
        path,
        step(1, lr=1e-4, grad_norm=1.2, step_s=3.5, tokens=900, wall_s=10.0, monotonic_s=5.0),
        {"attempt": 1, "iteration": 1, "save_s": 1.5, "forced": True},
        {"attempt": 1, "iteration": 1, "eval_loss": 0.9},
    )
    metrics = read_metrics(path)
    assert metrics.iterations == (
        Metric(
            attempt=1, iteration=1, loss=1.0, lr=1e-4, grad_norm=1.2, step_s=3.5, tokens=900,
            wall_s=10.0, monotonic_s=5.0,
        ),
    )  # fmt: skip
    assert metrics.saves == (Save(attempt=1, iteration=1, save_s=1.5, forced=True),)
    assert metrics.evals == (Eval(attempt=1, iteration=1, eval_loss=0.9),)
    assert metrics.problem is None


def test_none_yet_and_nothing_readable(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.jsonl").problem is None
    read = read_metrics(tmp_path)
    assert read.iterations == ()
    assert read.problem is not None


def test_the_highest_attempt_of_an_iteration_counts(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append(path, *[step(number) for number in (1, 2, 3)])
    append(path, *[step(number, 2, loss=9.0) for number in (2, 3, 4)])
    append(path, step(3, 1, loss=5.0))
    metrics = read_metrics(path)
    assert [(each.iteration, each.attempt) for each in metrics.iterations] == [
        (1, 1), (2, 2), (3, 2), (4, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        b"\n", b"garbage\n", b"[]\n", b'{"attempt": 1}\n', b'{"iteration": 1}\n', b"\xff\n",
        b'{"attempt": true, "iteration": 1}\n', b'{"attempt": 1, "iteration": -1}\n',
        b'{"attempt": 1, "iteration": 1, "save_s": null}\n',
    ],
)  # fmt: skip
def test_foreign_lines_are_left_out(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    append(path, step(1), line, step(2))
    metrics = read_metrics(path)
    assert [each.iteration for each in metrics.iterations] == [1, 2]
    assert metrics.saves == ()


def test_a_loss_that_is_no_number_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append(path, b'{"attempt": 1, "iteration": 1, "loss": NaN, "tokens": 1.5}\n')
    (metric,) = read_metrics(path).iterations
    assert (metric.loss, metric.tokens) == (None, None)


@given(st.dictionaries(
    st.sampled_from(["attempt", "iteration", "loss", "save_s", "eval_loss", "tokens", "forced"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.just("x") | st.just([]),
))  # fmt: skip
def test_any_object_never_raises(value: dict[str, Any]) -> None:
    parse_record(value)


def test_only_the_end_of_a_long_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append(path, *[step(number) for number in range(1, 5000)])
    metrics = read_metrics(path, tail_bytes=4096)
    assert 0 < len(metrics.iterations) < 100
    assert metrics.iterations[-1].iteration == 4999


def test_a_file_of_many_bites_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append(path, *[step(number, note="x" * 80) for number in range(1, 6000)])
    assert path.stat().st_size > 2 * 256 * 1024
    assert len(read_metrics(path).iterations) == 5999


def test_following_reads_only_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    follower = MetricsFollower(path)
    assert follower.read() == []
    append(path, step(1), b'{"attempt": 1, "itera')
    assert [each.iteration for each in follower.read()] == [1]
    unchanged = follower.metrics
    assert follower.read() == []
    assert follower.metrics is unchanged
    append(path, b'tion": 2}\n')
    assert [each.iteration for each in follower.read()] == [2]
    assert [each.iteration for each in follower.metrics.iterations] == [1, 2]


def test_following_a_file_that_was_replaced_forgets_the_old(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append(path, step(1), step(2))
    follower = MetricsFollower(path)
    follower.read()
    other = tmp_path / "other"
    append(other, step(7))
    other.replace(path)
    follower.read()
    assert [each.iteration for each in follower.metrics.iterations] == [7]


def test_following_with_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    follower = MetricsFollower(path, keep=10)
    for start in range(1, 100, 7):
        append(path, *[step(number) for number in range(start, start + 7)])
        follower.read()
    assert len(follower.metrics.iterations) == 10
    assert len(follower._iterations) == 10
    assert follower.metrics.iterations[-1].iteration == 105


def test_who_asks_for_no_iterations_is_told_what_saves_and_evaluations_cost(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append(path, *[step(number) for number in (1, 2, 3)])
    append(path, {"attempt": 1, "iteration": 3, "save_s": 1.5})
    append(path, {"attempt": 1, "iteration": 3, "eval_loss": 0.9, "eval_s": 7.0})
    follower = MetricsFollower(path, keep=0)
    follower.read()
    assert follower.metrics.iterations == ()
    assert [each.save_s for each in follower.metrics.saves] == [1.5]
    assert [each.eval_s for each in follower.metrics.evals] == [7.0]
    known = follower.metrics
    append(path, step(4))
    follower.read()
    assert follower.metrics is known
