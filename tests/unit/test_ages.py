"""Ages are observed time: gaps, clock jumps and restarts add nothing that nobody saw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watching import BOOT, Watch, beat, whole

from monitor.ages import AgeState, advance, ages_of, continued
from monitor.facts import Facts
from monitor.model import GpuReading, LogReading, MachineReading, ProcessReading


def test_the_same_heartbeat_ages_by_the_second() -> None:
    watch = Watch()
    watch.look(beat(100, done=1))
    watch.pass_(30, beat(100, done=1))
    assert watch.progress_s == 30


def test_a_first_look_believes_the_heartbeats_own_stamp() -> None:
    watch = Watch(at=100)
    watch.look(beat(60, done=1))
    assert watch.progress_s == 40


def test_a_new_heartbeat_is_stamped_by_itself() -> None:
    watch = Watch()
    watch.look(beat(100, done=1))
    watch.now = 101
    watch.look(beat(100.4, done=2))
    assert watch.progress_s == pytest.approx(0.6)


def test_a_stamp_that_cannot_be_true_is_no_old_age() -> None:
    watch = Watch()
    watch.look(beat(100, done=1))
    watch.now = 101
    watch.look(beat(1.0, done=2))
    assert watch.progress_s == 1


@pytest.mark.parametrize("jump", [3600.0, 1e9, -3600.0])
def test_a_suspended_machine_or_a_starved_watcher_adds_three_ticks(jump: float) -> None:
    watch = Watch()
    watch.look(beat(100, done=1))
    watch.now += jump
    watch.look(beat(100, done=1))
    assert watch.progress_s is not None
    assert watch.progress_s <= 3
    assert watch.state.gaps == (1 if jump > 0 else 0)


def test_a_heartbeat_written_in_a_gap_makes_no_silence_that_nobody_heard() -> None:
    """The machine was paused just after it: it was new for the first look of hours later."""
    watch = Watch()
    watch.look(beat(100, done=1))
    watch.now = 27100
    watch.look(beat(100.2, done=2))
    assert watch.progress_s == 3
    assert watch.state.gaps == 1
    watch.pass_(9, beat(100.2, done=2))
    assert watch.progress_s == 12, "what is watched counts"


def test_a_watcher_restart_continues_and_the_trainers_stamp_fills_the_gap() -> None:
    watch = Watch()
    watch.look(beat(100, done=1), log=LogReading(path="l", size_bytes=1, modified_wall=0))
    watch.pass_(9, beat(100, done=1), log=LogReading(path="l", size_bytes=2, modified_wall=0))
    watch.restart()
    watch.now += 500
    watch.look(beat(100, done=1), log=LogReading(path="l", size_bytes=2, modified_wall=0))
    assert watch.progress_s == 509
    log_s = ages_of(watch.state).log_s
    assert log_s is not None
    assert log_s <= 8 + 3, "what nobody watched counts for nothing"


def test_a_heartbeat_written_between_two_watchers_is_as_old_as_it_says() -> None:
    watch = Watch()
    watch.look(beat(100, done=1))
    watch.restart()
    watch.now = 700
    watch.look(beat(650, done=9), checkpoints=whole(8))
    assert watch.progress_s == 50, "the tracker moved as well, but nobody saw when"


def test_another_boot_stops_the_clock() -> None:
    watch = Watch()
    watch.look(beat(100, done=1))
    watch.pass_(5, beat(100, done=1))
    watch.restart()
    watch.now = 20
    watch.look(beat(100, done=1), boot="boot-2")
    assert watch.progress_s == 5


def test_a_new_sequence_number_alone_is_no_progress() -> None:
    watch = Watch()
    watch.look(beat(100, done=1))
    for second in range(1, 20):
        watch.now = 100 + second
        watch.look(beat(watch.now, done=1))
    assert watch.progress_s == 19
    assert ages_of(watch.state).heartbeat_s == 0


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"heartbeat": beat(100.0, done=2, seq=2)}, id="an iteration"),
        pytest.param({"heartbeat": beat(100.0, done=1, phase="saving")}, id="a phase"),
        pytest.param({"checkpoints": whole(1, 2)}, id="a finished checkpoint"),
        pytest.param({"checkpoints": replace(whole(1), tracker=2)}, id="the tracker"),
        pytest.param({"stage": "merge"}, id="the next stage"),
        pytest.param({"attempt": 2}, id="the next attempt"),
    ],
)
def test_progress_is(change: dict[str, Any]) -> None:
    watch = Watch()
    watch.look(beat(100, done=1), checkpoints=whole(1))
    watch.pass_(50, beat(100, done=1), checkpoints=whole(1))
    watch.now += 1
    watch.look(**{"heartbeat": beat(100, done=1), "checkpoints": whole(1)} | change)
    assert watch.progress_s is not None
    assert watch.progress_s <= 1


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"checkpoints": whole(2)}, id="rotation removed an old checkpoint"),
        pytest.param({"checkpoints": None}, id="the folder cannot be read"),
        pytest.param({"heartbeat": None}, id="the heartbeat cannot be read"),
        pytest.param({"log": LogReading(path="l", size_bytes=99, modified_wall=1)}, id="the log"),
        pytest.param({"heartbeat": beat(150, stage="prepare")}, id="another stage's heartbeat"),
    ],
)
def test_progress_is_not(change: dict[str, Any]) -> None:
    watch = Watch()
    before = {"heartbeat": beat(100, done=1), "checkpoints": whole(1, 2)}
    watch.look(**before)
    watch.pass_(50, before["heartbeat"], checkpoints=before["checkpoints"])
    watch.now += 1
    watch.look(**before | change)
    watch.now += 1
    watch.look(**before)
    assert watch.progress_s == 52


def test_use_above_the_idle_level_keeps_cpu_and_gpu_young() -> None:
    watch = Watch()

    def machine(percent: int) -> MachineReading:
        return MachineReading(gpus=(GpuReading(index=0, name="g", utilisation_percent=percent),))

    for second in range(20):
        watch.now = 100 + second
        cpu = min(second, 10) + second * 0.01
        process = ProcessReading(alive=True, cpu_s=cpu, written_bytes=second * 10)
        watch.look(process=process, machine=machine(90 if second < 15 else 0))
    ages = ages_of(watch.state)
    assert (ages.cpu_s, ages.gpu_s, ages.written_s) == (9, 5, 19)


def test_what_was_there_before_the_watch_has_no_age() -> None:
    watch = Watch()
    watch.look(log=LogReading(path="l", size_bytes=9, modified_wall=0), checkpoints=whole(3))
    ages = ages_of(watch.state)
    assert (ages.log_s, ages.tracker_s, ages.progress_s) == (None, None, None)


@pytest.mark.parametrize(
    "marks",
    [
        pytest.param(None, id="nothing"),
        pytest.param([], id="a list"),
        pytest.param({"observed_s": "soon"}, id="a word for a number"),
        pytest.param({"observed_s": float("nan")}, id="not a number"),
        pytest.param({"observed_s": 10**400}, id="beyond measure"),
        pytest.param({"marks": {"log": {"at": 1}}}, id="a mark without its key"),
        pytest.param({"learnt": {"recent": [None]}}, id="a hole in what was learnt"),
    ],
)
def test_garbage_is_no_state(marks: object) -> None:
    with pytest.raises(ValueError, match="AgeState"):
        continued(marks)


@given(
    gaps=st.lists(st.floats(-1e6, 1e6), max_size=20),
    tick_s=st.floats(0.1, 5),
)
def test_observed_time_never_runs_back_or_ahead(gaps: list[float], tick_s: float) -> None:
    state, now = AgeState(), 0.0
    for gap in gaps:
        now += gap
        facts = Facts(boot_id=BOOT, monotonic_s=now, stage="train")
        after = advance(state, facts, now=now, tick_s=tick_s)
        assert 0 <= after.observed_s - state.observed_s <= 3 * tick_s + 1e-6
        state = after
