"""Projections: when training ends, and when memory does."""

from __future__ import annotations

import pytest

from monitor.budget import CEILING_BYTES, memory_limit, minutes_to_limit
from monitor.model import History
from monitor.pace import project, remaining_saves

GIB = 1 << 30
LEARNT = History(
    step_median_s=2.0,
    step_low_s=1.5,
    step_high_s=3.0,
    step_count=20,
    saves_this_process=1,
    save_median_s=10.0,
    save_max_s=12.0,
)


def test_what_is_left_is_iterations_and_saves() -> None:
    projection = project(iteration=50, total=100, history=LEARNT, save_interval=20)
    assert projection is not None
    assert projection.seconds == 50 * 2 + 3 * 10
    assert projection.low_s == 50 * 1.5 + 30
    assert projection.high_s == 50 * 3 + 36


def test_a_resumed_process_pays_for_its_first_save_again() -> None:
    resumed = History(
        step_median_s=1.0, step_count=9, saves_this_process=0, first_save_s=60.0, save_median_s=2.0
    )
    projection = project(iteration=80, total=100, history=resumed, save_interval=10)
    assert projection is not None
    assert projection.seconds == 20 + 60 + 2


def test_the_trainers_own_figures_of_its_saves_win() -> None:
    projection = project(
        iteration=80, total=100, history=LEARNT, save_interval=10, saves=[50.0, 1.0, 3.0]
    )
    assert projection is not None
    assert projection.seconds == 20 * 2 + 2 * 2


@pytest.mark.parametrize(
    ("iteration", "total", "history"),
    [
        pytest.param(None, 100, LEARNT, id="no iteration yet"),
        pytest.param(5, None, LEARNT, id="no total"),
        pytest.param(5, 100, History(), id="no pace"),
        pytest.param(2, 100, History(step_median_s=1.0, step_count=2), id="two iterations"),
    ],
)
def test_no_projection_without(iteration: int | None, total: int | None, history: History) -> None:
    assert project(iteration=iteration, total=total, history=history) is None


def test_past_its_total_nothing_is_left() -> None:
    projection = project(iteration=101, total=100, history=LEARNT, save_interval=20, since_s=9.0)
    assert projection is not None
    assert projection.seconds == 0


@pytest.mark.parametrize(
    ("iteration", "total", "interval", "saves"),
    [
        pytest.param(0, 625, 70, 9, id="eight regular ones and the last"),
        pytest.param(70, 140, 70, 1, id="the last is a regular one"),
        pytest.param(141, 150, 70, 1, id="only the last"),
        pytest.param(10, 100, None, 1, id="no interval known"),
        pytest.param(100, 100, 70, 0, id="done"),
    ],
)
def test_saves_to_come(iteration: int, total: int, interval: int | None, saves: int) -> None:
    assert remaining_saves(iteration, total, interval) == saves


def test_the_memory_limit_is_a_share_a_ceiling_or_the_runs_own() -> None:
    assert memory_limit(100 * GIB) == 92 * GIB
    assert memory_limit(122 * GIB) == CEILING_BYTES
    assert memory_limit(122 * GIB, own_bytes=80 * GIB) == 80 * GIB


def _line(slope: float, noise: float = 0.0) -> list[tuple[float, float]]:
    return [(float(t), 10 * GIB + slope * t + noise * (7 * t % 5 - 2)) for t in range(60)]


def test_a_steady_climb_reaches_the_limit_in_time() -> None:
    minutes = minutes_to_limit(_line(slope=GIB / 60), 20 * GIB)
    assert minutes == pytest.approx(10 - 59 / 60, rel=1e-6)


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param([], id="nothing known"),
        pytest.param(_line(0), id="flat"),
        pytest.param(_line(-GIB / 60), id="falling"),
        pytest.param(_line(GIB / 600, noise=GIB), id="a climb within its noise"),
        pytest.param(_line(GIB)[:5], id="too few samples"),
    ],
)
def test_no_climb_means_no_forecast(samples: list[tuple[float, float]]) -> None:
    assert minutes_to_limit(samples, 100 * GIB) is None


def test_one_jump_is_no_trend() -> None:
    samples = [(t, used if t < 50 else used + 4 * GIB) for t, used in _line(0)]
    assert minutes_to_limit(samples, 100 * GIB) is None
