"""Projection of memory: when it reaches its limit."""

from __future__ import annotations

import pytest

from monitor.budget import CEILING_BYTES, memory_limit, minutes_to_limit

GIB = 1 << 30


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
