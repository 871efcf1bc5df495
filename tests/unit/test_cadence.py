"""Rule 3: a run without a heartbeat is judged by when its next checkpoint is due."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from observed import ALIVE, seen

from monitor.limits import limits_from
from monitor.liveness import judge
from monitor.model import (
    Checkpoint,
    CheckpointReading,
    History,
    KernelReading,
    Liveness,
    LogProgress,
    LogReading,
    MachineReading,
    ProcessReading,
    Verdict,
)

LIMITS = limits_from({})
# 70 iterations of 30 s: a checkpoint every 2100 s; by the log 140 was reached, and saved.
PACED = History(
    iteration=140,
    iteration_source="log",
    saved=140,
    pace_s=30.0,
    pace_count=140,
    step_median_s=30.0,
    step_low_s=30.0,
    step_max_s=30.0,
    step_recent_s=30.0,
    step_count=140,
    saves_this_process=2,
    log_gap_s=30.0,
    log_cadence_s=30.0,
    log_growths=100,
    log_gap_iterations=1,
)
SAVED = replace(
    PACED, iteration_source="tracker", pace_s=None, pace_count=0, checkpoint_gap_s=2100.0
)
FOREIGN: dict[str, Any] = {
    "foreign": True,
    "status": None,
    "stage": None,
    "heartbeat": None,
    "save_interval": 70,
    "history": PACED,
}


def folder(*iterations: int, **changes: Any) -> CheckpointReading:
    found = tuple(
        Checkpoint(iteration=each, complete=True, size_bytes=1 << 30, modified_wall=1000.0 + each)
        for each in iterations
    )
    return CheckpointReading(**{"tracker": iterations[-1], "checkpoints": found} | changes)


def silent(seconds: float, **changes: float) -> dict[str, float]:
    ages = {"progress_s": seconds, "iteration_s": seconds, "log_s": seconds}
    return ages | {"log_iteration_s": seconds, "tracker_s": seconds} | changes


def verdict_of(**changes: Any) -> Verdict:
    return judge(seen(**FOREIGN | {"checkpoints": folder(70, 140)} | changes), LIMITS)


STOPPED = replace(ALIVE, state="T", pids=(7,))
PIPED = replace(ALIVE, wchan="anon_pipe_write")


@pytest.mark.parametrize(
    ("changes", "liveness", "words"),
    [
        pytest.param(
            {"ages": silent(20)},
            Liveness.TRAINING,
            "by the log 20 s ago; a checkpoint comes every 35 min, the next is due in 35 min",
            id="the log advances",
        ),
        pytest.param(
            {"ages": silent(200)},
            Liveness.SUSPECT,
            "the log is silent, a checkpoint comes every 35 min",
            id="log silence alone is at most suspect",
        ),
        pytest.param(
            {"ages": silent(4040)}, Liveness.SUSPECT, "overdue", id="overdue, within the save limit"
        ),
        pytest.param(
            {"ages": silent(4060, cpu_s=100.0)},
            Liveness.STALLED,
            "no progress for 68 min, iteration 140 to 210 of 625; a checkpoint comes every 35 min, "
            "the next is 33 min overdue",
            id="overdue by half a cadence and the save limit",
        ),
        pytest.param(
            {"ages": silent(4060, cpu_s=100.0), "history": replace(PACED, iteration=200)},
            Liveness.STALLED,
            "overdue",
            id="the log told of more iterations than the checkpoint",
        ),
        pytest.param(
            {"ages": silent(2290, cpu_s=100.0), "history": replace(PACED, iteration=200)},
            Liveness.STALLED,
            "iteration 200 to 210",
            id="then the next one was due sooner",
        ),
        pytest.param(
            {"ages": silent(2390), "history": SAVED},
            Liveness.TRAINING,
            "the next is overdue by 5 min",
            id="checkpoints only: a little late",
        ),
        pytest.param(
            {"ages": silent(2430), "history": SAVED}, Liveness.SUSPECT, "overdue", id="late"
        ),
        pytest.param(
            {"ages": silent(4060, cpu_s=100.0), "history": SAVED},
            Liveness.STALLED,
            "overdue",
            id="too late",
        ),
        pytest.param(
            {"ages": silent(7640), "history": SAVED},
            Liveness.SUSPECT,
            "so only time can tell: give it a heartbeat or a log",
            id="too late, but it uses the CPU: it may have slowed down",
        ),
        pytest.param(
            {"ages": silent(29000), "history": SAVED},
            Liveness.SUSPECT,
            "overdue",
            id="twelve times as slow as it ever was",
        ),
        pytest.param(
            {"ages": silent(40000), "history": SAVED},
            Liveness.STALLED,
            "overdue",
            id="too late for that as well",
        ),
        pytest.param(
            {"ages": silent(13000, writing_s=5.0), "history": SAVED},
            Liveness.SUSPECT,
            "overdue",
            id="a checkpoint that grows is no stall",
        ),
        pytest.param(
            {"ages": silent(9000), "process": None},
            Liveness.SUSPECT,
            "cannot be seen",
            id="who is not seen to live is never stalled",
        ),
        pytest.param(
            {"ages": silent(90000), "saves_visible": False},
            Liveness.SUSPECT,
            "no cadence known yet",
            id="no folder to see a checkpoint in",
        ),
        pytest.param(
            {"ages": silent(90000), "history": replace(PACED, iteration=250)},
            Liveness.SUSPECT,
            "are they written elsewhere?",
            id="checkpoints do not come where they are looked for",
        ),
        pytest.param(
            {"ages": silent(90000), "history": replace(PACED, pace_count=9)},
            Liveness.SUSPECT,
            "no cadence known yet",
            id="nine iterations are no pace",
        ),
        pytest.param(
            {"ages": {"progress_s": None, "stage_s": 1700}, "history": History()}
            | {"checkpoints": None},
            Liveness.STARTING,
            "no iteration is seen yet",
            id="nothing has been seen, and that is no trouble",
        ),
        pytest.param(
            {"ages": silent(1900, excluded_s=1900), "history": History(), "process": STOPPED},
            Liveness.STALLED,
            "`kill -CONT 7` lets it go on",
            id="a stopped process needs no cadence",
        ),
        pytest.param(
            {"ages": silent(200, excluded_s=180), "process": STOPPED},
            Liveness.STALLED,
            "stopped",
            id="stopped for longer than five iterations",
        ),
        pytest.param(
            {"ages": silent(200, excluded_s=140), "process": PIPED},
            Liveness.SUSPECT,
            "a pipe that nobody reads",
            id="blocked in a pipe, not for long",
        ),
        pytest.param(
            {"ages": silent(200, excluded_s=160), "process": PIPED},
            Liveness.STALLED,
            "a pipe that nobody reads",
            id="blocked in a pipe",
        ),
        pytest.param(
            {"ages": silent(20, excluded_s=700), "process": replace(ALIVE, state="D")},
            Liveness.TRAINING,
            "iteration 140",
            id="in state D, yet it advances",
        ),
        pytest.param(
            {"ages": silent(610, cpu_s=610, written_s=610), "history": History()},
            Liveness.STALLED,
            "nothing at all is used",
            id="ten minutes without any activity",
        ),
        pytest.param(
            {
                "ages": silent(1500, log_s=400, hint_s=400, log_iteration_s=1500),
                "log_progress": LogProgress(iteration=140, phase="evaluating"),
            },
            Liveness.TRAINING,
            "evaluation began 7 min ago",
            id="the log says that it evaluates",
        ),
        pytest.param(
            {
                "ages": silent(100, checkpoint_s=2, hint_s=100),
                "checkpoints": folder(70, 140, writing_bytes=5),
            },
            Liveness.SAVING,
            "saving for 2 min",
            id="a folder grows",
        ),
        pytest.param(
            {
                "ages": silent(600, checkpoint_s=2, writing_s=2, hint_s=600),
                "checkpoints": folder(70, 140, writing_bytes=5),
            },
            Liveness.SAVING,
            "saving for 10 min",
            id="for ten minutes",
        ),
        pytest.param(
            {
                "ages": silent(3300, checkpoint_s=2, writing_s=2, hint_s=1200),
                "checkpoints": folder(70, 140, writing_bytes=5),
            },
            Liveness.SAVING,
            "saving for 20 min",
            id="the next checkpoint is overdue, because it is being written",
        ),
        pytest.param(
            {
                "ages": silent(400, hint_s=390),
                "log_progress": LogProgress(iteration=140, phase="saving"),
                "saves_visible": False,
                "checkpoints": None,
            },
            Liveness.SAVING,
            "saving for 6 min",
            id="the log says that it saves, where no folder is known",
        ),
        pytest.param(
            {
                "ages": silent(1200, checkpoint_s=100, writing_s=1100, hint_s=1200),
                "checkpoints": folder(70, 140, writing_bytes=5),
            },
            Liveness.SUSPECT,
            "the log is silent",
            id="its folder is touched, and has not grown for long",
        ),
        pytest.param(
            {"ages": silent(1700), "history": replace(PACED, iteration=625, saved=625)},
            Liveness.TRAINING,
            "every iteration is done",
            id="no checkpoint is to come",
        ),
        pytest.param(
            {"ages": silent(5000), "own_power_w": 400.0}
            | {"history": replace(PACED, power_median_w=500.0)},
            Liveness.SUSPECT,
            "as much power as when it trains",
            id="a GPU of its own at full power",
        ),
        pytest.param(
            {"ages": silent(30, log_s=1900, log_iteration_s=1900)}
            | {"history": replace(PACED, iteration=210, iteration_source="tracker", saved=210)}
            | {"log": LogReading(path="l", size_bytes=9, modified_wall=0.0)}
            | {"checkpoints": folder(140, 210)},
            Liveness.TRAINING,
            "iteration 210 to 211",
            id="the log is late by less than its own gap",
        ),
    ],
)
def test_the_verdict_without_a_heartbeat(
    changes: dict[str, Any], liveness: Liveness, words: str
) -> None:
    verdict = verdict_of(**changes)
    assert verdict.liveness is liveness, verdict.reason
    assert words in verdict.reason


def test_a_checkpoint_proves_that_only_the_log_is_stuck() -> None:
    history = replace(SAVED, iteration=210, saved=210, iterations_since_log=60)
    verdict = verdict_of(
        ages=silent(600, log_s=1900), history=history, checkpoints=folder(140, 210)
    )
    assert verdict.liveness is Liveness.LOG_STUCK
    assert "silent for 32 min, but by the tracker the trainer reached iteration 210" in (
        verdict.reason
    )
    assert (verdict.iteration, verdict.iteration_source) == (210, "tracker")


def test_a_log_that_was_silent_before_the_watch_is_stuck_where_a_checkpoint_came_later() -> None:
    attached: dict[str, Any] = {
        "ages": {"progress_s": None, "log_s": None},
        "history": History(iteration=560, iteration_source="tracker", saved=560),
        "log_progress": LogProgress(iteration=116),
        "checkpoints": folder(490, 560),
    }
    log = LogReading(path="l", size_bytes=9, modified_wall=0.0)
    assert verdict_of(**attached, log=log).liveness is Liveness.LOG_STUCK
    young = verdict_of(**attached, log=replace(log, modified_wall=2000.0))
    assert young.liveness is Liveness.TRAINING


@pytest.mark.parametrize(
    ("age", "error"),
    [(0, 0), (29, 0), (300, 10), (2100, 70), (90000, 70)],
    ids=["now", "under one", "ten are possible", "up to the next save", "and never past it"],
)
def test_the_iteration_is_shown_with_its_error(age: float, error: int) -> None:
    verdict = verdict_of(ages=silent(age))
    assert (verdict.iteration, verdict.iteration_error) == (140, error)
    assert verdict.iteration_source == "log"


GONE = ProcessReading(alive=False, pids=(7,))


@pytest.mark.parametrize(
    ("changes", "liveness", "words"),
    [
        pytest.param({}, Liveness.ENDED, "reached 140 of 625, exit status", id="before its total"),
        pytest.param(
            {"log_progress": LogProgress(error="CUDA out of memory")},
            Liveness.ENDED,
            "its log's last error: CUDA out of memory",
            id="its log names an error",
        ),
        pytest.param(
            {"history": replace(PACED, iteration=625, saved=625)},
            Liveness.FINISHED,
            "its checkpoint is whole",
            id="after its total",
        ),
        pytest.param(
            {"machine": MachineReading(kernel=KernelReading(oom_kills=(7,)))},
            Liveness.FAILED,
            "out of memory",
            id="the kernel killed it",
        ),
    ],
)
def test_how_a_foreign_run_ended(changes: dict[str, Any], liveness: Liveness, words: str) -> None:
    verdict = verdict_of(process=GONE, **changes)
    assert verdict.liveness is liveness
    assert words in verdict.reason


@pytest.mark.parametrize(
    ("changes", "low"),
    [
        pytest.param({"free_bytes": 9 << 30}, False, id="room for all that are to come"),
        pytest.param({"free_bytes": 5 << 30}, True, id="not for all of the seven"),
        pytest.param({"free_bytes": 1 << 30}, True, id="not for two"),
        pytest.param({}, False, id="not known"),
    ],
)
def test_the_disk_is_low_when_it_will_not_hold_the_next_checkpoints(
    changes: dict[str, Any], low: bool
) -> None:
    verdict = verdict_of(ages=silent(9), checkpoints=folder(70, 140, **changes))
    assert ("disk-low" in verdict.flags) is low


def test_a_run_that_keeps_few_checkpoints_needs_room_for_two() -> None:
    reading = folder(70, 140, free_bytes=3 << 30)
    assert "disk-low" not in verdict_of(ages=silent(9), checkpoints=reading, keep_last=2).flags
