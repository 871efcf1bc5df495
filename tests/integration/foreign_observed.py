"""A foreign run as tests change it: no heartbeat, checkpoints every 70 iterations of 30 s."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from observed import seen

from monitor.limits import limits_from
from monitor.liveness import judge
from monitor.model import Checkpoint, CheckpointReading, History, Verdict

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
