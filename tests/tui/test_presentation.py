"""Values to text: every boundary, and never a zero for what is not known."""

from __future__ import annotations

import math
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui import presentation as p

NAN = math.nan


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        pytest.param(None, p.UNKNOWN, id="unknown"),
        pytest.param(NAN, p.UNKNOWN, id="not a number"),
        pytest.param(0.0, "0.0s", id="nothing"),
        pytest.param(1.44, "1.4s", id="under ten seconds"),
        pytest.param(42.9, "42s", id="under a minute"),
        pytest.param(60, "1m", id="a minute"),
        pytest.param(750, "12m 30s", id="minutes"),
        pytest.param(20_280, "5h 38m", id="hours"),
        pytest.param(86_400, "1d", id="a day"),
        pytest.param(183_600, "2d 3h", id="days"),
    ],
)
def test_duration(seconds: float | None, shown: str) -> None:
    assert p.duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        pytest.param(None, p.UNKNOWN, id="unknown"),
        pytest.param(0.0, "<5s", id="now"),
        pytest.param(4.9, "<5s", id="just now"),
        pytest.param(5.0, "5s", id="five"),
        pytest.param(59.9, "55s", id="nearly a minute"),
        pytest.param(60, "1m", id="a minute"),
        pytest.param(119, "1m", id="whole minutes only"),
        pytest.param(3599, "59m", id="nearly an hour"),
        pytest.param(4050, "1h 7m", id="over an hour"),
        pytest.param(180_000, "2d 2h", id="days"),
    ],
)
def test_age_is_coarse(seconds: float | None, shown: str) -> None:
    assert p.age(seconds) == shown


@given(st.floats(min_value=0, max_value=1e7))
def test_a_quiet_age_changes_at_most_every_five_seconds(seconds: float) -> None:
    start = math.floor(seconds / 5) * 5
    assert p.age(start) == p.age(start + 4.9)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        pytest.param(None, p.UNKNOWN, id="unknown"),
        pytest.param(0.0, "5s", id="any moment"),
        pytest.param(31.0, "35s", id="under a minute"),
        pytest.param(125.0, "2m 10s", id="under ten minutes"),
        pytest.param(1500.0, "25m", id="under an hour"),
        pytest.param(12_440.0, "3h 27m", id="hours"),
    ],
)
def test_remaining(seconds: float | None, shown: str) -> None:
    assert p.remaining(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        pytest.param(None, p.UNKNOWN, id="unknown"),
        pytest.param(0, "0 B", id="none"),
        pytest.param(1023, "1023 B", id="bytes"),
        pytest.param(1 << 16, "64 KiB", id="kibibytes"),
        pytest.param(149 << 20, "149 MiB", id="an adapter"),
        pytest.param(61.25 * 2**30, "61.2 GiB", id="memory"),
        pytest.param(3 << 40, "3.0 TiB", id="a disk"),
        pytest.param(5000 << 40, "5000 TiB", id="more than the units go"),
    ],
)
def test_size(count: float | None, shown: str) -> None:
    assert p.size(count) == shown


@pytest.mark.parametrize(
    ("used", "limit", "shown"),
    [
        pytest.param(61 << 30, 110 << 30, "61.0/110 GiB", id="a Spark"),
        pytest.param(900 << 20, 22 << 30, "0.9/22 GiB", id="in the larger's unit"),
        pytest.param(5 << 30, None, "5.0 GiB", id="no limit known"),
        pytest.param(None, 110 << 30, p.UNKNOWN, id="use not known"),
    ],
)
def test_used_of(used: float | None, limit: float | None, shown: str) -> None:
    assert p.used_of(used, limit) == shown


@pytest.mark.parametrize(
    ("value", "whole", "fraction"),
    [
        pytest.param(None, 10, None, id="unknown part"),
        pytest.param(5, None, None, id="unknown whole"),
        pytest.param(5, 0, None, id="of nothing"),
        pytest.param(5, 10, 0.5, id="half"),
        pytest.param(11, 10, 1.0, id="more than all"),
    ],
)
def test_part(value: float | None, whole: float | None, fraction: float | None) -> None:
    assert p.part(value, whole) == fraction


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param(p.percent(39.4), "39 %", id="percent"),
        pytest.param(p.percent(None), p.UNKNOWN, id="percent unknown"),
        pytest.param(p.count(241, 625), "241/625", id="of a total"),
        pytest.param(p.count(241), "241", id="no total"),
        pytest.param(p.count(None, 625), f"{p.UNKNOWN}/625", id="not begun"),
        pytest.param(p.count(None), p.UNKNOWN, id="nothing known"),
        pytest.param(p.pace(0.853), "0.85", id="fast"),
        pytest.param(p.pace(32.44), "32.4", id="slow"),
        pytest.param(p.pace(143.2), "143", id="very slow"),
        pytest.param(p.pace(None), p.UNKNOWN, id="no pace"),
        pytest.param(p.figure(0.87312), "0.8731", id="a loss"),
        pytest.param(p.figure(NAN), "nan", id="a loss that is gone is said"),
        pytest.param(p.figure(1.5e-6), "1.50e-06", id="tiny"),
        pytest.param(p.figure(None), p.UNKNOWN, id="no loss"),
        pytest.param(p.rate(8.2e-5), "8.2e-05", id="learning rate"),
        pytest.param(p.rate(None), p.UNKNOWN, id="no learning rate"),
    ],
)
def test_figures(text: str, shown: str) -> None:
    assert text == shown


@pytest.mark.parametrize(
    ("wall", "now", "shown"),
    [
        pytest.param(1_779_382_640.0, 1_779_370_200.0, "16:57", id="today"),
        pytest.param(1_779_456_600.0, 1_779_370_200.0, "22 May 13:30", id="tomorrow"),
        pytest.param(None, 1_779_370_200.0, p.UNKNOWN, id="unknown"),
        pytest.param(1e300, 1_779_370_200.0, p.UNKNOWN, id="beyond any calendar"),
    ],
)
def test_clock(wall: float | None, now: float, shown: str) -> None:
    assert p.clock(wall, now, UTC) == shown


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        pytest.param("progress 13 s ago", "progress 10 s ago", id="rounded down"),
        pytest.param("progress 3 s ago; ok", "progress under 5 s ago; ok", id="just now"),
        pytest.param("a limit of 13 s", "a limit of 13 s", id="no age"),
        pytest.param("240 s ago", "240 s ago", id="longer than a minute"),
    ],
)
def test_a_sentence_does_not_change_every_second(sentence: str, shown: str) -> None:
    assert p.steady(sentence) == shown


def test_a_clock_set_back_gives_no_negative_age() -> None:
    assert p.ago(100.0, 40.0) == 0.0
    assert p.ago(None, 40.0) is None
