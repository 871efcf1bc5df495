"""What a watch learns from outside: pace and cadence of a run that writes no heartbeat."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from watching import Watch, beat, whole

from monitor.ages import ages_of
from monitor.model import (
    GpuReading,
    LogProgress,
    LogReading,
    MachineReading,
    ProcessReading,
)

ALIVE = ProcessReading(alive=True, state="S", cpu_s=1.0, pids=(7,))


def told(iteration: int, **changes: Any) -> dict[str, Any]:
    """A log that tells of *iteration*, and grew to do so."""
    return {
        "log": LogReading(path="l", size_bytes=100 * iteration, modified_wall=0),
        "log_progress": LogProgress(iteration=iteration),
        "process": ALIVE,
    } | changes


def train(watch: Watch, iterations: range, step: int, **facts: Any) -> None:
    for iteration in iterations:
        watch.pass_(step - 1, **told(iteration - 1, **facts))
        watch.now += 1
        watch.look(**told(iteration, **facts))


def test_the_pace_is_read_from_the_log_while_it_advances() -> None:
    watch = Watch()
    train(watch, range(1, 22), step=3)
    history = watch.history
    assert history.pace_s == pytest.approx(3.0)
    assert (history.pace_count, history.iteration, history.iteration_source) == (20, 21, "log")
    assert watch.progress_s == 0
    watch.pass_(40, **told(21))
    assert watch.progress_s == 40
    assert ages_of(watch.state).log_iteration_s == 40
    assert watch.history.pace_s == pytest.approx(3.0)


def test_an_evaluation_that_comes_again_is_the_logs_own_gap_and_part_of_the_pace() -> None:
    watch = Watch()
    train(watch, range(1, 11), step=5)
    train(watch, range(11, 12), step=105)
    assert watch.history.log_gap_s == 5, "once it may have been a stall"
    train(watch, range(12, 21), step=5)
    train(watch, range(21, 22), step=120)
    assert watch.history.log_gap_s == 120
    assert watch.history.step_max_s == 5
    assert watch.history.pace_s == pytest.approx((18 * 5 + 120) / 19)
    train(watch, range(22, 31), step=5)
    train(watch, range(31, 32), step=1200)
    assert watch.history.log_gap_s == 120, "a stall that recovered is no evaluation"


def test_evaluations_every_other_line_are_no_slowness() -> None:
    watch = Watch()
    train(watch, range(1, 31), step=2)
    for iteration in range(31, 51):
        train(watch, range(iteration, iteration + 1), step=2 if iteration % 2 else 9)
    history = watch.history
    assert (history.step_least_s, history.step_recent_s) == (2, 9)


def test_how_long_the_first_checkpoint_was_waited_for_is_known() -> None:
    watch = Watch()
    watch.look(process=ALIVE, checkpoints=whole())
    watch.pass_(50, process=ALIVE, checkpoints=whole())
    watch.pass_(9, process=ALIVE, checkpoints=whole(70))
    assert watch.history.checkpoint_wait_s == 51
    watch.pass_(9, process=ALIVE, checkpoints=whole(70, 140))
    assert watch.history.checkpoint_wait_s == 51


def test_a_watcher_restart_keeps_the_pace_and_its_gap_teaches_nothing() -> None:
    watch = Watch()
    train(watch, range(1, 22), step=3)
    watch.restart()
    watch.now += 3000
    watch.look(**told(22))
    watch.pass_(2, **told(22))
    watch.now += 1
    watch.look(**told(23))
    assert watch.history.pace_s == pytest.approx(3.0)
    assert watch.history.iteration == 23


def test_with_a_heartbeat_the_log_is_no_progress() -> None:
    watch = Watch()
    watch.look(beat(100, done=1), **told(1))
    for second in range(1, 30):
        watch.now += 1
        watch.look(beat(100, done=1), **told(1 + second))
    assert watch.progress_s == 29
    assert watch.history.pace_count == 0


def test_the_cadence_is_the_largest_gap_between_checkpoints_that_were_seen_to_come() -> None:
    watch = Watch()
    watch.look(checkpoints=whole(70), process=ALIVE)
    watch.pass_(100, checkpoints=whole(70), process=ALIVE)
    assert watch.history.checkpoint_gap_s is None
    watch.pass_(200, checkpoints=whole(70, 140), process=ALIVE)
    assert watch.history.checkpoint_gap_s is None, "nobody saw when the first one came"
    watch.pass_(1, checkpoints=whole(70, 140, 210), process=ALIVE)
    history = watch.history
    assert history.checkpoint_gap_s == 200
    assert (history.checkpoint_gap_iterations, history.iteration) == (70, 210)
    assert history.iteration_source == "tracker"
    watch.pass_(1500, checkpoints=whole(70, 140, 210), process=ALIVE)
    watch.pass_(1, checkpoints=whole(70, 140, 210, 280), process=ALIVE)
    assert watch.history.checkpoint_gap_s == 200, "a stall that recovered is no cadence"


def test_an_unwatched_gap_between_two_checkpoints_is_no_cadence() -> None:
    watch = Watch()
    watch.look(checkpoints=whole(70), process=ALIVE)
    watch.pass_(5, checkpoints=whole(70, 140), process=ALIVE)
    watch.restart()
    watch.now += 2000
    watch.look(checkpoints=whole(70, 140), process=ALIVE)
    watch.pass_(5, checkpoints=whole(70, 140, 210), process=ALIVE)
    assert watch.history.checkpoint_gap_s is None


@pytest.mark.parametrize(
    "lag",
    [
        pytest.param(whole(70), id="the folder and the tracker go back"),
        pytest.param(whole(), id="the folder is empty"),
        pytest.param(None, id="the folder is gone"),
        pytest.param(replace(whole(70, 140), tracker=70), id="the tracker goes back"),
    ],
)
@pytest.mark.parametrize("looks", [1, 60])
def test_what_a_file_server_shows_late_is_neither_progress_nor_its_loss(
    lag: Any, looks: int
) -> None:
    watch, now = Watch(), whole(70, 140)
    watch.look(checkpoints=whole(70), process=ALIVE)
    watch.pass_(50, checkpoints=now, process=ALIVE)
    watch.pass_(looks, checkpoints=lag, process=ALIVE)
    watch.pass_(10, checkpoints=now, process=ALIVE)
    assert watch.progress_s == 49 + looks + 10
    assert watch.history.iteration == 140


def test_a_run_that_saves_into_an_older_runs_folder_is_believed_after_a_while() -> None:
    watch = Watch()
    watch.look(checkpoints=whole(625), process=ALIVE)
    older = replace(whole(70, 625), tracker=70)
    watch.pass_(130, checkpoints=older, process=ALIVE)
    watch.pass_(1, checkpoints=replace(whole(70, 140, 625), tracker=140), process=ALIVE)
    assert watch.progress_s == 0
    assert watch.history.iteration == 140


def test_a_log_that_advances_counts_before_what_an_older_run_has_saved() -> None:
    watch = Watch()
    for iteration in range(1, 5):
        watch.pass_(3, **told(iteration, checkpoints=whole(625)))
    assert (watch.history.iteration, watch.history.iteration_source) == (4, "log")


@pytest.mark.parametrize(
    ("process", "excluded_s"),
    [
        pytest.param(replace(ALIVE, state="T"), 20, id="stopped"),
        pytest.param(replace(ALIVE, wchan="anon_pipe_write"), 20, id="in a pipe"),
        pytest.param(replace(ALIVE, state="D"), 20, id="in D"),
        pytest.param(ALIVE, None, id="sleeping"),
        pytest.param(ProcessReading(alive=False), None, id="dead"),
    ],
)
def test_a_state_that_excludes_progress_has_an_age(
    process: ProcessReading, excluded_s: float | None
) -> None:
    watch = Watch()
    watch.look(process=ALIVE)
    watch.pass_(21, process=process)
    assert ages_of(watch.state).excluded_s == excluded_s
    watch.pass_(1, process=ALIVE)
    assert ages_of(watch.state).excluded_s is None


def test_who_works_between_two_looks_is_not_held_though_each_look_finds_it_waiting() -> None:
    watch = Watch()
    for second in range(60):
        watch.now += 1
        busy = replace(ALIVE, state="D", cpu_s=second * 0.5)
        watch.look(process=busy)
    assert ages_of(watch.state).excluded_s == 0


def gpu(watts: float, percent: int, user: int = 7) -> MachineReading:
    return MachineReading(
        gpus=(
            GpuReading(
                index=0,
                name="g",
                power_w=watts,
                utilisation_percent=percent,
                process_bytes=((user, None),),
            ),
        )
    )


def test_what_a_hang_draws_is_no_power_of_work() -> None:
    watch = Watch()
    for done in range(1, 60):
        watch.pass_(2, beat(watch.now, done=done), process=ALIVE, machine=gpu(500 + done, 100))
    last = beat(watch.now, done=59)
    watch.pass_(400, last, process=ALIVE, machine=gpu(122, 100))
    history = watch.history
    assert history.power_low_w is not None
    assert history.power_low_w > 500
    assert (history.recent_power_w, history.recent_spread_w) == (122, 0)
    assert history.recent_busy_percent == 100
    watch.pass_(1, beat(watch.now, done=60), process=ALIVE, machine=gpu(520, 100))
    assert watch.history.power_low_w == pytest.approx(history.power_low_w), "it was a stall"


def test_a_gpu_that_says_96_percent_at_idle_power_is_not_used() -> None:
    watch = Watch()
    watch.look(process=ALIVE, machine=gpu(11, 0))
    for done in range(1, 30):
        watch.pass_(2, beat(watch.now, done=done), process=ALIVE, machine=gpu(45, 96))
    watch.pass_(50, beat(watch.now, done=29), process=ALIVE, machine=gpu(13, 96))
    assert ages_of(watch.state).gpu_s == 50
    watch.pass_(50, beat(watch.now, done=29), process=ALIVE, machine=gpu(22, 96))
    assert ages_of(watch.state).gpu_s == 0


def test_a_strangers_gpu_is_no_activity_of_this_run() -> None:
    watch = Watch()
    watch.look(process=ALIVE, machine=gpu(500, 100, user=99))
    watch.pass_(9, process=ALIVE, machine=gpu(500, 100, user=99))
    assert ages_of(watch.state).gpu_s is None


def test_a_child_that_ends_during_a_save_is_missed() -> None:
    watch, saving = Watch(), replace(whole(70), writing_bytes=5)
    family = replace(ALIVE, pids=(7, 8, 9))
    watch.look(process=family, checkpoints=saving)
    watch.pass_(2, process=replace(ALIVE, pids=(7, 9)), checkpoints=saving)
    assert watch.history.save_missing == 1
    watch.pass_(1, process=replace(ALIVE, pids=(7, 9)), checkpoints=whole(70, 140))
    assert watch.history.save_missing == 0


def test_one_low_reading_of_a_gpu_at_work_is_no_idle_gpu() -> None:
    watch = Watch()
    for done in range(1, 30):
        watch.pass_(2, beat(watch.now, done=done), process=ALIVE, machine=gpu(45, 96))
    last = beat(watch.now, done=29)
    watch.pass_(20, last, process=ALIVE, machine=gpu(22, 96))
    assert ages_of(watch.state).powered_s == 20
    watch.pass_(1, last, process=ALIVE, machine=gpu(45, 96))
    assert ages_of(watch.state).powered_s == 0
    watch.restart()
    watch.pass_(5, last, process=ALIVE, machine=gpu(22, 96))
    assert ages_of(watch.state).powered_s is None, "who draws little after a gap is not at work"


def test_what_an_earlier_attempt_reached_is_no_proof_of_the_next_one() -> None:
    """A watcher that lives on while a keeper resumes the run by itself: the log goes on."""
    watch, there = Watch(), whole(10)
    for done in range(1, 13):
        watch.now += 2
        watch.look(beat(watch.now, done=done), **told(done), checkpoints=there)
    old = beat(watch.now, done=12)
    last = told(12, checkpoints=there, attempt=2)
    watch.pass_(5, old, **last | {"process": None})
    assert watch.ages.iteration_s is None, "the keeper waits for memory"
    watch.pass_(90, old, **last | {"process": replace(ALIVE, pids=(8,))})
    assert watch.ages.iteration_s is None, "it loads, and has not spoken yet"
    assert watch.progress_s == pytest.approx(94), "since the attempt began"


def test_a_later_attempt_without_a_heartbeat_is_proven_by_what_its_log_tells_next() -> None:
    watch = Watch()
    train(watch, range(1, 13), step=2)
    again: dict[str, Any] = {"attempt": 2, "process": replace(ALIVE, pids=(8,))}
    watch.pass_(60, **told(12, **again))
    assert watch.ages.iteration_s is None
    train(watch, range(11, 14), step=2, **again)
    assert watch.ages.iteration_s == 0
    assert watch.history.iteration == 13
