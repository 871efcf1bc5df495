"""What a watch learns: the run's own pace, and never a hang that it got over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from watching import Watch, beat, whole

from monitor.history import KEPT, Sample
from monitor.limits import STANDARD, LimitConfig, limits_from
from monitor.model import GpuReading, LogReading, MachineReading, ProcessReading


def _train(watch: Watch, iterations: range, step: float, log_every: int = 1) -> None:
    for done in iterations:
        watch.now += step
        log = LogReading(path="l", size_bytes=1 + done // log_every, modified_wall=0)
        watch.look(beat(watch.now, done=done), log=log)


def test_the_pace_is_learnt_from_the_trainers_stamps() -> None:
    watch = Watch()
    _train(watch, range(1, 12), step=2.0)
    assert watch.history.step_count == 10
    assert watch.history.step_max_s == pytest.approx(2.0)
    assert watch.history.step_median_s == pytest.approx(2.0)


def test_iterations_that_pass_between_two_looks_share_the_time() -> None:
    watch = Watch()
    _train(watch, range(10, 100, 10), step=1.0)
    assert watch.history.step_median_s == pytest.approx(0.1)
    assert watch.history.step_count == 80


def test_a_stall_that_recovered_is_no_pace_but_two_in_a_row_are() -> None:
    watch = Watch()
    _train(watch, range(1, 20), step=2.0)
    watch.now += 1000
    watch.look(beat(watch.now, done=20))
    assert watch.history.step_max_s == pytest.approx(2.0)
    for done in (21, 22):
        for _ in range(200):
            watch.now += 1
            watch.look(beat(watch.now - 0.5, done=done - 1))
        watch.look(beat(watch.now, done=done, seq=10**9 + done))
    assert watch.history.step_max_s == pytest.approx(200, abs=1)


@pytest.mark.parametrize(
    ("before", "seconds", "longest"),
    [
        pytest.param(8, 150, 150 / 5, id="as long as power would excuse: the limit follows"),
        pytest.param(8, 400, 2.0, id="longer: it was a stall"),
        pytest.param(30, 150, 2.0, id="later on its pace is known"),
    ],
)
def test_an_early_iteration_past_the_limit_raises_the_next_one(
    before: int, seconds: int, longest: float
) -> None:
    watch = Watch()
    _train(watch, range(1, before + 1), step=2.0)
    for _ in range(seconds):
        watch.now += 1
        watch.look(beat(watch.now - 0.5, done=before))
    watch.now += 1
    watch.look(beat(watch.now, done=before + 1))
    assert watch.history.step_max_s == pytest.approx(longest, rel=0.02)


def test_a_resumed_process_saves_for_the_first_time_again() -> None:
    watch = Watch()

    def save(done: int, seconds: int, **changes: Any) -> None:
        saving = beat(watch.now, done=done, phase="saving", **changes)
        watch.look(saving, attempt=saving.attempt)
        watch.pass_(seconds, saving, attempt=saving.attempt)
        watch.look(beat(watch.now, done=done, **changes), attempt=saving.attempt)
        watch.now += 1

    watch.look(beat(100, done=69))
    save(70, 50)
    save(140, 3)
    save(210, 5)
    history = watch.history
    assert (history.first_save_s, history.save_max_s, history.save_count) == (50, 5, 2)
    assert history.saves_this_process == 3
    watch.look(beat(watch.now, done=140, pid=8, attempt=2), attempt=2)
    assert watch.history.saves_this_process == 0
    assert watch.history.save_max_s == 5


def _phases(watch: Watch, phase: str, *seconds: int, limits: LimitConfig = STANDARD) -> None:
    """Iterate and enter *phase* in turns, for so many seconds each."""
    watch.limits = limits
    watch.look(beat(watch.now, done=0))
    for done, each in enumerate(seconds, 1):
        watch.now += 1
        begun = beat(watch.now, done=done, phase=phase)
        watch.look(begun)
        watch.pass_(each, begun)
        watch.look(beat(watch.now, done=done))


@pytest.mark.parametrize(
    ("phase", "seconds", "expected"),
    [
        pytest.param("saving", (50, 3, 5), (5, 2), id="saves"),
        pytest.param("saving", (50, 7200, 5), (5, 1), id="the second save hung"),
        pytest.param("saving", (50, 3, 5, 7200), (5, 2), id="a later save hung"),
        pytest.param("saving", (50, 3, 5, 950, 960), (960, 3), id="saves that became slow"),
        pytest.param("saving", (1000, 7200, 5), (5, 1), id="a slow first save is another matter"),
        pytest.param("evaluating", (10, 20), (20, 2), id="evaluations"),
        pytest.param("evaluating", (10, 20, 9000), (20, 2), id="an evaluation hung"),
        pytest.param("evaluating", (4000, 4100), (4100, 1), id="two that are as long are a pace"),
    ],
)
def test_a_hang_that_recovered_teaches_nothing_but_two_in_a_row_do(
    phase: str, seconds: tuple[int, ...], expected: tuple[float, int]
) -> None:
    watch = Watch()
    _phases(watch, phase, *seconds)
    history = watch.history
    saves = (history.save_max_s, history.save_count)
    evals = (history.eval_max_s, history.eval_count)
    assert (saves if phase == "saving" else evals) == expected


def test_what_is_a_hang_is_said_by_the_runs_own_limits() -> None:
    watch, patient = Watch(), limits_from({"save_floor_s": 8000.0})
    _phases(watch, "saving", 50, 3, 5, 7200, limits=patient)
    assert watch.history.save_max_s == 7200


@pytest.mark.parametrize(
    ("phase", "field", "longest"),
    [
        ("loading", "start_s", 1800),
        ("first_iteration", "first_iteration_s", 1800),
        ("saving", "first_save_s", 1800),
    ],
)
def test_what_comes_once_teaches_no_more_than_its_limit(
    phase: str, field: str, longest: float
) -> None:
    watch = Watch()
    _phases(watch, phase, 9000)
    assert getattr(watch.history, field) == longest


@pytest.mark.parametrize(
    ("user", "age_s", "learnt"),
    [
        pytest.param(7, 0.0, 300.0, id="the trainer"),
        pytest.param(8, 0.0, 300.0, id="a child of it"),
        pytest.param(99, 0.0, None, id="a stranger"),
        pytest.param(7, 60.0, None, id="a driver that does not answer"),
    ],
)
def test_the_power_of_a_gpu_is_the_runs_own(user: int, age_s: float, learnt: float | None) -> None:
    gpu = GpuReading(index=0, name="g", age_s=age_s, power_w=300.0, process_bytes=((user, None),))
    watch = Watch()
    for done in (1, 2, 3):
        watch.now += 1
        watch.look(
            beat(watch.now, done=done),
            machine=MachineReading(gpus=(gpu,)),
            process=ProcessReading(alive=True, pids=(7, 8)),
        )
    assert watch.history.power_median_w == learnt


def test_a_save_between_two_looks_shows_as_its_checkpoint() -> None:
    watch = Watch()
    watch.look(beat(100, done=69), checkpoints=whole())
    watch.now += 1
    watch.look(beat(101, done=71), checkpoints=whole(70))
    assert watch.history.saves_this_process == 1


def test_the_logs_cadence_is_learnt_while_iterations_advance() -> None:
    watch = Watch()
    _train(watch, range(1, 41), step=1.0, log_every=5)
    history = watch.history
    assert history.log_cadence_s == pytest.approx(5.0)
    assert history.log_gap_iterations == 5
    silent = LogReading(path="l", size_bytes=9, modified_wall=0)
    for done in range(41, 141):
        watch.now += 1
        watch.look(beat(watch.now, done=done), log=silent)
    assert watch.history.iterations_since_log == 100
    assert watch.history.log_cadence_s == pytest.approx(5.0)
    watch.now += 1
    watch.look(beat(watch.now, done=141), log=replace(silent, size_bytes=10))
    assert watch.history.iterations_since_log == 0
    assert watch.history.log_cadence_s == pytest.approx(5.0), "stuck is no cadence"


def test_memory_stays_bounded_and_the_sample_spans_the_whole_series() -> None:
    sample = Sample()
    for value in range(10_000):
        sample = sample.add(float(value))
    assert len(sample.values) <= KEPT
    assert sample.median() == pytest.approx(5000, rel=0.1)


def _talk(watch: Watch, *silences: int, done: int = 0) -> int:
    """Iterate once a second; the log speaks after so many iterations, one silence after another."""
    size = 1000
    for silence in silences:
        for _ in range(silence):
            watch.now, done = watch.now + 1, done + 1
            spoken = LogReading(path="l", size_bytes=size, modified_wall=0)
            watch.look(beat(watch.now, done=done), log=spoken)
        size += 1
        spoken = LogReading(path="l", size_bytes=size, modified_wall=0)
        watch.now, done = watch.now + 1, done + 1
        watch.look(beat(watch.now, done=done), log=spoken)
    return done


@pytest.mark.parametrize(
    ("silences", "cadence"),
    [
        pytest.param((1, 1, 1, 1, 100, 100), 101, id="a line each 100 after the first lines"),
        pytest.param((1, 1, 1, 1, 100, 1, 1, 130), 131, id="with some lines in between"),
        pytest.param((1, 1, 1, 1, 100), 2, id="once is no pace"),
        pytest.param((1, 1, 1, 1, 100, 300), 2, id="two that have nothing in common"),
        pytest.param((1, 1, 1, 1, 100, 1, 1, 1, 1, 1, 100), 2, id="its usual pace between them"),
    ],
)
def test_a_silence_that_recurs_is_the_logs_own_pace(
    silences: tuple[int, ...], cadence: float
) -> None:
    watch = Watch()
    _talk(watch, *silences)
    assert watch.history.log_cadence_s == pytest.approx(cadence)


def test_what_was_learnt_of_a_recurring_silence_survives_a_restart() -> None:
    watch = Watch()
    done = _talk(watch, 1, 1, 1, 1, 100)
    watch.restart()
    spoken = LogReading(path="l", size_bytes=1005, modified_wall=0)
    watch.now += 1
    watch.look(beat(watch.now, done=done), log=spoken)  # nothing is learnt across a restart
    for _ in range(100):
        watch.now, done = watch.now + 1, done + 1
        watch.look(beat(watch.now, done=done), log=spoken)
    watch.now += 1
    watch.look(beat(watch.now, done=done + 1), log=replace(spoken, size_bytes=2000))
    assert watch.history.log_cadence_s == pytest.approx(102)


def test_iterations_without_a_word_are_counted_from_the_first_that_is_proven() -> None:
    watch = Watch()
    log = LogReading(path="l", size_bytes=9, modified_wall=0)
    watch.look(None, log=log)
    watch.pass_(5, None, log=log)
    for done in range(1, 61):
        watch.now += 1
        watch.look(beat(watch.now, done=done), log=log)
    assert watch.history.iterations_since_log == 59
