"""Fabricated nights: whole states of the screens, with fixed values and no clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from idling import by_queues

from monitor.model import (
    Evidence,
    GpuReading,
    Liveness,
    MachineReading,
    MemoryReading,
    Status,
)
from monitor.status_model import (
    CheckpointView,
    EtaView,
    IterationView,
    KeeperView,
    MemoryView,
    PeaksView,
    RunStatus,
    StageView,
    WatcherView,
)
from tui.app import LanewatchApp
from tui.state import Point, RunDetail, Snapshot

GIB = 1 << 30
NOW = 1_779_370_200.0  # 2026-05-21 13:30 UTC
RUN = "nemo-20260521-101112-3fa2"

MACHINE = MachineReading(
    memory=MemoryReading(
        total_bytes=120 * GIB,
        available_bytes=59 * GIB,
        free_bytes=20 * GIB,
        cached_bytes=38 * GIB,
    ),
    gpus=(
        GpuReading(
            index=0,
            name="NVIDIA GB10",
            utilisation_percent=96,
            power_w=48.2,
            temperature_c=71,
            sm_clock_mhz=2405,
        ),
    ),
    cpu_percent=12.0,
    load1=1.4,
    disk_free_bytes=812 * GIB,
)

TRAINING = RunStatus(
    run=RUN,
    name="p65",
    lane="nemo",
    engine="docker",
    kind="full",
    verdict=Liveness.TRAINING,
    status=Status.RUNNING,
    reason="iteration 241 of 625, the last one 12 s ago",
    since_wall=NOW - 2 * 3600,
    stage="train",
    stage_index=4,
    stage_count=5,
    stages=(
        StageView(name="pull", status="skipped"),
        StageView(name="prepare", status="done", wall_s=41.0),
        StageView(name="import", status="done", wall_s=540.0),
        StageView(name="train", status="running"),
        StageView(name="merge", status="pending"),
    ),
    phase="iteration",
    iteration=IterationView(value=241, total=625, source="heartbeat"),
    loss=0.8731,
    lr=8.2e-5,
    step_s=32.4,
    eta=EtaView(seconds=12_440.0, low_s=12_100.0, high_s=13_000.0, finish_wall=NOW + 12_440),
    checkpoints=tuple(
        CheckpointView(
            iteration=at,
            age_s=(241 - at) * 32.4,
            size_bytes=149 << 20,
            complete=True,
            save_s=96.0 if at == 70 else 41.0,
        )
        for at in (70, 140, 210)
    ),
    memory=MemoryView(used_bytes=61 * GIB, limit_bytes=110 * GIB, peak_bytes=64 * GIB),
    machine=MACHINE,
    evidence=(
        Evidence(signal="heartbeat", detail="iteration 241", age_s=12.0, supports="training"),
        Evidence(signal="tracker", detail="210", age_s=1004.0, supports="training"),
        Evidence(signal="checkpoints", detail="3 whole", age_s=1004.0, supports="training"),
        Evidence(signal="log", detail="grew by 142 bytes", age_s=12.0, supports="training"),
        Evidence(signal="process", detail="pid 4711, sleeping", age_s=0.0, supports=""),
        Evidence(signal="gpu", detail="96 %, 48 W", age_s=1.0, supports=""),
    ),
    watcher=WatcherView(pid=4712, alive=True, age_s=0.4),
    keeper=KeeperView(pid=4710, alive=True),
    created_wall=NOW - 3.4 * 3600,
)

LOG_STUCK = replace(
    TRAINING,
    verdict=Liveness.LOG_STUCK,
    reason=(
        "the log has been silent for 1 h 7 min and still says iteration 116, "
        "but the heartbeat proves iteration 241 and checkpoint 210 is whole"
    ),
    since_wall=NOW - 66 * 60,
    evidence=(
        Evidence(signal="heartbeat", detail="iteration 241", age_s=12.0, supports="training"),
        Evidence(signal="tracker", detail="210", age_s=1004.0, supports="training"),
        Evidence(signal="checkpoints", detail="3 whole", age_s=1004.0, supports="training"),
        Evidence(
            signal="log",
            detail="nothing since iteration 116; its own cadence is 33 s",
            age_s=4050.0,
            supports="log-stuck",
        ),
        Evidence(signal="process", detail="pid 4711, sleeping", age_s=0.0, supports=""),
        Evidence(signal="gpu", detail="96 %, 48 W", age_s=1.0, supports=""),
    ),
)

STALLED = replace(
    TRAINING,
    verdict=Liveness.STALLED,
    reason="no progress for 11 min, past the limit of 10 min, while the process lives; it sleeps",
    since_wall=NOW - 70,
    eta=None,
    evidence=(
        Evidence(signal="heartbeat", detail="iteration 241", age_s=671.0, supports="stalled"),
        Evidence(signal="tracker", detail="210", age_s=1675.0, supports="stalled"),
        Evidence(signal="log", detail="silent", age_s=671.0, supports="stalled"),
        Evidence(signal="process", detail="pid 4711, sleeping, no CPU", age_s=660.0, supports=""),
    ),
    watcher=WatcherView(pid=4712, alive=False, age_s=40.0),
)

FAILED = replace(
    TRAINING,
    run="unsloth-20260520-220000-9c01",
    name=None,
    lane="unsloth",
    verdict=Liveness.FAILED,
    status=Status.FAILED,
    reason="the trainer ended with signal 9 (killed) at iteration 241: out of memory",
    cause="out of memory",
    evidence=(
        Evidence(signal="exit", detail="signal 9 (killed)", supports="failed"),
        Evidence(signal="heartbeat", detail="iteration 241", age_s=7212.0),
        Evidence(signal="memory", detail="109.4 GiB in the last sample", age_s=7201.0),
    ),
    since_wall=NOW - 7200,
    ended_wall=NOW - 7200,
    eta=None,
    memory=None,
    peaks=PeaksView(machine_bytes=64 * GIB),
    watcher=WatcherView(),
    created_wall=NOW - 5 * 3600,
)

FINISHED = replace(
    TRAINING,
    run="reference-20260519-081500-77aa",
    name="demo",
    lane="reference",
    engine="local",
    verdict=Liveness.FINISHED,
    status=Status.FINISHED,
    reason="all 4 stages are done; 60 iterations, final loss 1.204",
    stage="merge",
    stage_index=4,
    stage_count=4,
    phase=None,
    stages=tuple(
        StageView(name=name, status="done", wall_s=wall)
        for name, wall in (("fetch", 3.1), ("prepare", 2.2), ("train", 61.0), ("merge", 4.4))
    ),
    iteration=IterationView(value=60, total=60, source="heartbeat"),
    step_s=0.98,
    loss=1.2041,
    eta=None,
    checkpoints=tuple(
        CheckpointView(iteration=at, age_s=90_000.0, size_bytes=3 << 20, complete=True, save_s=0.2)
        for at in range(10, 70, 10)
    ),
    evidence=(Evidence(signal="result", detail="finished", age_s=None, supports="finished"),),
    memory=None,
    peaks=PeaksView(machine_bytes=5 * GIB),
    since_wall=NOW - 86_400 * 2,
    ended_wall=NOW - 86_400 * 2,
    created_wall=NOW - 86_400 * 2 - 90,
    watcher=WatcherView(),
    keeper=KeeperView(),
)

STATES = {
    "empty": None,
    "training": TRAINING,
    "log-stuck": LOG_STUCK,
    "stalled": STALLED,
    "failed": FAILED,
    "finished": FINISHED,
}


def detail_of(status: RunStatus, log_lines: tuple[str, ...] | None = None) -> RunDetail:
    """Curves and a log that look like a real night."""
    last = status.iteration.value or 0
    losses = tuple(
        (at, 0.74 + 1.4 / (1 + at / 25) + 0.03 * ((at * 7) % 5 - 2)) for at in range(1, last + 1)
    )
    history = tuple(
        Point(
            wall_s=NOW - 900 + 5 * at,
            memory_bytes=(58 + (at % 9) / 3) * GIB,
            gpu_percent=96.0 if at % 31 else 40.0,
            power_w=48.0 + at % 4,
            cpu_percent=12.0,
        )
        for at in range(181)
    )
    shown = min(last, 116)
    lines = log_lines or tuple(
        f"[NeMo I 2026-05-21 11:{at // 2 % 60:02d}:23 megatron_gpt_model:982] "
        f"step={at} loss={0.8 + 1.4 / (1 + at / 25):.3f} lr=8.2e-05"
        for at in range(max(1, shown - 59), shown + 1)
    )
    return RunDetail(
        run=status.run, losses=losses, history=history, log_name="train.log", log_lines=lines
    )


def snapshot_of(*runs: RunStatus, opened: RunStatus | None = None, **changes: Any) -> Snapshot:
    """A snapshot of these runs on a Spark."""
    return replace(
        Snapshot(
            taken_wall=NOW,
            root="/runs",
            runs=runs,
            machine=MACHINE,
            memory_limit_bytes=110 * GIB,
            detail=detail_of(opened) if opened else None,
        ),
        **changes,
    )


@pytest.fixture(autouse=True)
def _fixed_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same characters, colours and time zone everywhere."""
    for name in ("NO_COLOR", "LC_ALL", "LC_CTYPE", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def _idle_by_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of keys is pressed in seconds, and no pause is too short on a starved machine."""
    by_queues(monkeypatch)


@pytest.fixture
def states() -> dict[str, RunStatus | None]:
    """One run in each state that the screens are drawn for."""
    return dict(STATES)


@pytest.fixture
def training() -> RunStatus:
    """A run that is doing well."""
    return TRAINING


@pytest.fixture
def snap_of() -> Callable[..., Snapshot]:
    """Build a snapshot; `opened` is the run whose details are in it."""
    return snapshot_of


@pytest.fixture
def details() -> Callable[..., RunDetail]:
    """Build the details of a run, with other log lines if given."""
    return detail_of


@pytest.fixture
def make_app(tmp_path: Path) -> Callable[..., LanewatchApp]:
    """Build an app that shows what is posted to it and reads nothing."""
    return lambda **options: LanewatchApp(tmp_path, sampling=False, **options)
