"""An observation as tests change it: a run that trains well, but for what a test says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from monitor.model import Ages, Heartbeat, History, LogReading, Observation, ProcessReading, Status

GONE = ProcessReading(alive=False)
ALIVE = ProcessReading(alive=True, state="S", cpu_s=100.0, written_bytes=1000)
LEARNT = History(
    step_max_s=20.0,
    step_count=100,
    step_median_s=10.0,
    step_recent_s=10.0,
    saves_this_process=1,
    log_cadence_s=10.0,
    log_growths=50,
    log_gap_iterations=1,
)


def beat(phase: str = "iteration", done: int | None = 241, **changes: Any) -> Heartbeat:
    values: dict[str, Any] = {
        "attempt": 1,
        "seq": 9,
        "pid": 7,
        "boot_id": "b",
        "monotonic_s": 5.0,
        "stage": "train",
        "phase": phase,
        "done": done,
        "total": 625,
    }
    return Heartbeat(**values | changes)


def seen(**changes: Any) -> Observation:
    """A run that trains well, changed where a test says."""
    values: dict[str, Any] = {
        "run": "r",
        "taken_at": 1000.0,
        "status": Status.RUNNING,
        "stage": "train",
        "total": 625,
        "heartbeat": beat(),
        "process": ALIVE,
        "log": LogReading(path="train.log", size_bytes=5000, modified_wall=0.0),
        "history": LEARNT,
    }
    ages = Ages(progress_s=4.0, stage_s=900.0, heartbeat_s=4.0, log_s=4.0, cpu_s=0.0, written_s=0.0)
    ages = replace(ages, **changes.pop("ages", {}))
    return Observation(**values | {"ages": ages} | changes)
