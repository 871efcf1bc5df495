"""Stacks are sampled, and all of a diagnosis is made, in a time that is bounded from its beginning.

The clock is stepped: whoever is asked takes what was drawn of the time that he was given, up to all
of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from stuck import RATE, make_run

from monitor.diagnosis import faulthandler_dump, file_systems
from monitor.diagnosis.bounds import SAMPLES_END_S, WHOLE_S, Bounds
from monitor.diagnosis.inquiry import WAIT_S
from monitor.diagnosis.look import look
from monitor.diagnosis.places import FileSystem
from monitor.diagnosis.pyspy import Dump
from monitor.diagnosis.sampling import SAMPLES, take
from monitor.diagnosis.values import Frame, Stack
from monitor.rundir import RunDir
from runners.sidecar import ANSWER_S, Offer, Sidecar

MAIN = Frame("train", "/job/train.py", 3)


class Counting:
    """Counts what it is asked for."""

    dump_s = native_s = 2.0

    def __init__(self) -> None:
        self.asked: list[bool] = []

    def dump(self, pid: int, *, native: bool = False, limit_s: float) -> Dump:
        self.asked.append(native)
        return Dump()

    def available(self) -> str | None:
        return None


def test_all_samples_and_the_native_one_where_there_is_time() -> None:
    spy = Counting()
    taken = take([os.getpid()], spy, native=True)
    assert spy.asked == [*[False] * SAMPLES, True]
    assert not taken.missing


def test_a_diagnosis_that_has_no_time_left_takes_no_sample_and_says_what_is_left_out() -> None:
    spy = Counting()
    late = Bounds(time.monotonic() - SAMPLES_END_S)
    taken = take([os.getpid()], spy, native=True, bounds=late)
    assert spy.asked == []
    assert any("none could be taken in time" in each for each in taken.missing)
    assert any("native frames" in each for each in taken.missing)


class Stepped:
    """The module `time`, whose clock goes on only where somebody waits."""

    def __init__(self) -> None:
        self.now_s = self.began_s = time.monotonic()

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    @property
    def passed_s(self) -> float:
        return self.now_s - self.began_s


CLOCKS = (
    "monitor.diagnosis.bounds",
    "monitor.diagnosis.sampling",
    "monitor.diagnosis.file_systems",
    "monitor.diagnosis.faulthandler_dump",
    "monitor.diagnosis.box",
    "runners.sidecar",
)


class Slow:
    """Takes of each limit the next of *shares*, and gives stacks where *gives* says so."""

    dump_s, native_s = 2.0, 8.0

    def __init__(self, clock: Stepped, shares: Iterator[float], *, gives: bool) -> None:
        self._clock, self._shares, self._gives = clock, shares, gives

    def available(self) -> str | None:
        return None

    def dump(self, pid: int, *, native: bool = False, limit_s: float) -> Dump:
        self._clock.sleep(limit_s * next(self._shares))
        if not self._gives:
            return Dump(problem="it takes too long")
        return Dump(stacks=(Stack(pid=pid, tid=pid, name="MainThread", frames=(MAIN,)),))


def slowly(monkeypatch: pytest.MonkeyPatch, shares: Iterator[float]) -> Stepped:
    """Everything that a diagnosis may wait for takes its share of its limit, by this clock."""
    clock = Stepped()
    for each in CLOCKS:
        monkeypatch.setattr(f"{each}.time", clock)
    monkeypatch.setattr("monitor.probes.clock.RATE", RATE)  # else its silence is in the future

    def ask(path: str, limit_s: float) -> tuple[float | None, float | None]:
        clock.sleep(limit_s * next(shares))
        return None, limit_s

    def answer(process: object, log: object, limit_s: float) -> tuple[Stack, ...]:
        clock.sleep(limit_s * next(shares))
        return (Stack(pid=os.getpid(), tid=os.getpid(), name="MainThread", frames=(MAIN,)),)

    where = iter(range(10**6))

    def everywhere_else(pid: int, path: str) -> FileSystem:
        return FileSystem(point=f"/mnt/{next(where)}", kind="nfs4", source="box:/x")

    monkeypatch.setattr(file_systems, "ask", ask)
    monkeypatch.setattr(faulthandler_dump, "ask", answer)
    for each in ("waits", "sources"):
        monkeypatch.setattr(f"monitor.diagnosis.{each}.file_system_of", everywhere_else)
    monkeypatch.setattr("monitor.diagnosis.look._may_be_asked", lambda *_: True)
    return clock


def drawn(shares: list[float]) -> Iterator[float]:
    """Those, then all of every limit."""
    yield from shares
    while True:
        yield 1.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """One whose trainer is this process, long since silent."""
    return make_run(tmp_path_factory.mktemp("runs"), os.getpid(), os.geteuid())


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.floats(0, 1), max_size=24), st.booleans(), st.booleans())
@example([], True, True)
@example([], False, True)
@example([0.0] * 8, True, True)  # the samples are quick, then nothing is
@example([0.0] * 7, False, True)
@example([1.0, 0.5, 0.0, 0.0, 0.0, 0.0], False, True)
def test_the_worst_case_is_over_in_its_time_by_construction(
    run: RunDir,
    monkeypatch: pytest.MonkeyPatch,
    shares: list[float],
    gives: bool,
    native: bool,
) -> None:
    with monkeypatch.context() as patched:
        slow = drawn(shares)
        clock = slowly(patched, slow)
        facts = look(run, Slow(clock, slow, gives=gives), native=native)
    assert clock.passed_s <= WHOLE_S
    assert facts.alive, "all of it was looked at"


def test_the_alert_waits_longer_than_a_diagnosis_takes() -> None:
    assert WHOLE_S < WAIT_S <= 20, "else its sentence would never be in the alert of a hard case"


def test_every_part_that_waits_is_asked_in_the_worst_case(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the sum of the bounds would be held by what never happens."""
    calls: list[str] = []

    def noting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return function(*args, **kwargs)

        return noted

    slow = drawn([1.0, *[0.0] * 8])
    clock = slowly(monkeypatch, slow)
    monkeypatch.setattr(file_systems, "ask", noting("file system", file_systems.ask))
    monkeypatch.setattr(faulthandler_dump, "ask", noting("signal", faulthandler_dump.ask))
    spy = Slow(clock, slow, gives=False)
    monkeypatch.setattr(spy, "dump", noting("stacks", spy.dump))
    look(run, spy, native=True)
    assert {"file system", "signal", "stacks"} <= set(calls)
    assert clock.passed_s > WHOLE_S / 2


class Engine:
    """A Docker engine that takes its whole time over every answer."""

    def __init__(self, clock: Stepped) -> None:
        self._clock, self.asked = clock, 0

    def ask(self, question: Callable[[Any], Any], image: str | None = None) -> Any:
        self.asked += 1
        self._clock.sleep(ANSWER_S)
        return {"Id": "c", "State": {"Running": True}}

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("limit_s", [7.0, 5.0, 4.5, 1.0, 0.3])
def test_a_container_that_looks_keeps_its_time_with_the_slowest_engine(
    monkeypatch: pytest.MonkeyPatch, limit_s: float
) -> None:
    clock = Stepped()
    monkeypatch.setattr("runners.sidecar.time", clock)
    engine: Any = Engine(clock)
    offer = Offer(container="c", container_id="c", image="i", image_name="i", program="/p")
    got = Sidecar(offer, engine).dump(os.getpid(), limit_s=limit_s)
    assert got.problem
    assert clock.passed_s <= limit_s
    assert engine.asked <= limit_s / ANSWER_S
