"""A slice of bench/judge.py: simulated nights with fixed seeds, none cried over, none missed."""

from __future__ import annotations

from itertools import count

import pytest
from night import HEARTBEAT, MODES, Night
from nights import FAULTS, NEED_A_HEARTBEAT, draw, outcome

LEAST_STEP_S = 6.0
"""Nights of faster steps take long to simulate; the bench has them."""
CASES = [
    pytest.param(mode, fault, id=f"{fault or 'healthy'}, {mode}")
    for mode in MODES
    for fault in (None, *FAULTS)
    if mode == HEARTBEAT or fault not in NEED_A_HEARTBEAT
]


def night_of(mode: str, fault: str | None) -> Night:
    """The first night with such a fault that is soon simulated."""
    for seed in count(1):
        try:
            night = draw(seed, mode, fault)
        except ValueError:  # its run has no such phase
            continue
        if night.step_s >= LEAST_STEP_S and night.hours <= 9:
            return night
    raise AssertionError


@pytest.mark.parametrize(("mode", "fault"), CASES)
def test_no_false_alarm_and_nothing_missed(mode: str, fault: str | None) -> None:
    seen = outcome(night_of(mode, fault))
    assert not seen.false, seen.night
    assert not seen.wakes, seen.night
    assert not seen.missed, seen.night
