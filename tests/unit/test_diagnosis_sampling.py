"""Stacks are sampled in a time that is bounded from the beginning of the diagnosis."""

from __future__ import annotations

import os
import time

from monitor.diagnosis.pyspy import Dump
from monitor.diagnosis.sampling import LONGEST_S, SAMPLES, take


class Counting:
    """Counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[bool] = []

    def dump(self, pid: int, *, native: bool = False) -> Dump:
        self.asked.append(native)
        return Dump()

    def available(self) -> str | None:
        return None


def test_all_samples_and_the_native_one_where_there_is_time() -> None:
    spy = Counting()
    taken = take([os.getpid()], spy, native=True)
    assert spy.asked == [*[False] * SAMPLES, True]
    assert not taken.missing


def test_a_diagnosis_that_has_waited_long_already_takes_one_sample_and_says_what_is_left_out() -> (
    None
):
    spy = Counting()
    taken = take([os.getpid()], spy, native=True, since_s=time.monotonic() - LONGEST_S)
    assert spy.asked == [False]
    assert any("native frames" in each for each in taken.missing)
