"""Curves that stay short however long a run is, and forget what a later attempt trains again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.rundir import RunDir
from tui.curves import IterationCurve, TimeCurve, smoothed
from tui.run_past import Curves
from tui.state import Point


def test_a_short_curve_is_what_was_told() -> None:
    curve = IterationCurve()
    for at in range(1, 4):
        curve.add(at, at / 2)
    assert curve.pairs == ((1, 0.5), (2, 1.0), (3, 1.5))
    assert curve.pairs is curve.pairs


@given(st.integers(min_value=1, max_value=3000), st.integers(min_value=2, max_value=64))
def test_a_long_curve_stays_short_and_ends_at_its_newest_iteration(last: int, most: int) -> None:
    curve = IterationCurve(most)
    for at in range(1, last + 1):
        curve.add(at, float(at))
    assert len(curve.pairs) <= most
    assert curve.pairs[-1][0] == last
    assert [at for at, _ in curve.pairs] == sorted({at for at, _ in curve.pairs})
    assert all(value <= at for at, value in curve.pairs)


def test_what_is_no_number_is_a_gap() -> None:
    curve = IterationCurve()
    for at, value in enumerate([1.0, float("nan"), None, float("inf"), 2.0], 1):
        curve.add(at, value)
    assert curve.pairs == ((1, 1.0), (5, 2.0))


def test_an_attempt_that_goes_back_takes_the_place_of_what_it_trains_again(tmp_path: Path) -> None:
    paths = RunDir(tmp_path)
    lines = [{"attempt": 1, "iteration": at, "loss": 9.0} for at in range(1, 11)]
    lines += [{"attempt": 2, "iteration": at, "loss": 1.0} for at in range(6, 9)]
    lines += [{"attempt": 1, "iteration": 99, "loss": 5.0}]
    paths.metrics.write_text("".join(json.dumps(each) + "\n" for each in lines))
    curves = Curves(paths)
    curves.read(0.0)
    assert curves.of("loss") == (*((at, 9.0) for at in range(1, 6)), (6, 1.0), (7, 1.0), (8, 1.0))


def test_a_curve_in_motion_is_shown_anew_every_five_seconds(tmp_path: Path) -> None:
    paths = RunDir(tmp_path)
    curves = Curves(paths)

    def tell(*iterations: int) -> None:
        with paths.metrics.open("a") as file:
            for at in iterations:
                file.write(json.dumps({"attempt": 1, "iteration": at, "loss": 1.0}) + "\n")

    tell(*range(1, 101))
    curves.read(100.0)
    tell(101)
    curves.read(104.0)
    assert len(curves.of("loss")) == 100
    curves.read(105.0)
    assert len(curves.of("loss")) == 101


def test_time_keeps_the_peak_of_memory_when_points_merge() -> None:
    curve = TimeCurve(5.0, most=8)
    for at in range(0, 500, 5):
        curve.add(Point(wall_s=float(at), memory_bytes=99.0 if at == 250 else 1.0, power_w=10.0))
    assert len(curve.points) <= 8
    assert max(each.memory_bytes or 0 for each in curve.points) == 99.0
    assert {each.power_w for each in curve.points} == {10.0}
    assert curve.points[-1].wall_s == 495.0


def test_a_past_that_was_read_sets_the_step() -> None:
    curve = TimeCurve(5.0)
    curve.fill([Point(wall_s=100.0 * at) for at in range(50)])
    curve.add(Point(wall_s=4901.0))
    assert len(curve.points) == 50


@pytest.mark.parametrize("weight", [0.0, 0.6, 0.95])
def test_smoothing_keeps_a_constant_and_begins_at_the_first_value(weight: float) -> None:
    constant = [(float(at), 3.0) for at in range(40)]
    assert [value for _, value in smoothed(constant, weight)] == pytest.approx([3.0] * 40)
    step = smoothed([(0.0, 4.0), (1.0, 0.0)], weight)
    assert step[0][1] == pytest.approx(4.0)
    assert 0.0 <= step[1][1] < 4.0
