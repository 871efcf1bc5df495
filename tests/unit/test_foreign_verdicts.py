"""What else is said of a run without a heartbeat: its log, its iteration, its end, its disk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from foreign_observed import PACED, SAVED, folder, silent, verdict_of

from monitor.model import (
    History,
    KernelReading,
    Liveness,
    LogProgress,
    LogReading,
    MachineReading,
    ProcessReading,
)


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
