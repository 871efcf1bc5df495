"""watch.json: the watcher's last word, for those who read it and for the watcher after it.

A file that cannot be trusted is no state at all: the next watcher begins afresh and says so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.codec import decode, dumps
from monitor.files import read_json, replace_bytes
from monitor.memory_model import MemoryMarks, MemoryVerdict
from monitor.model import (
    Ages,
    History,
    Liveness,
    LogProgress,
    MachineReading,
    ProcessId,
    Verdict,
)
from monitor.pace import Projection
from monitor.rundir import SCHEMA, RunDir


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchState:
    """Everything in watch.json. `ages`, `history` and `machine` are there for readers."""

    schema: int = SCHEMA
    run: str = ""
    pid: int
    start_ticks: int
    boot_id: str
    monotonic_s: float
    wall_s: float
    tick_s: float = 1.0
    observed_s: float = 0.0
    gaps: int = 0
    gap_s: float = 0.0
    attempt: int = 1
    stage: str | None = None
    phase: str | None = None
    verdict: Verdict
    since_wall: float
    """When the verdict became what it is."""
    ages: Ages = field(default_factory=Ages)
    history: History = field(default_factory=History)
    seeds: Mapping[str, float] | None = None
    """Largest durations of an earlier such run, by limit name; None: not looked for yet."""
    machine: MachineReading | None = None
    eta: Projection | None = None
    rss_bytes: int | None = None
    rss_peak_bytes: int | None = None
    used_peak_bytes: int | None = None
    """The most memory that the machine used while this run was watched."""
    minutes_to_limit: float | None = None
    memory_verdict: MemoryVerdict | None = None
    memory: MemoryMarks | None = None
    """Peaks of the run, and what it held when its trainer was last seen."""
    unreadable: tuple[str, ...] = ()
    failures: Mapping[str, int] = field(default_factory=dict)
    """What the watcher itself could not do, and how often."""
    recorded: Liveness | None = None
    """The verdict that events.jsonl was last told."""
    recorded_wall: float | None = None
    keeper_starts: tuple[float, ...] = ()
    """CLOCK_MONOTONIC of each start of a keeper by the watcher, on `boot_id`."""
    parts: Mapping[str, Any] = field(default_factory=dict)
    """What each `monitor.parts.Part` remembers, by its name; plain JSON."""
    log_progress: LogProgress | None = None
    """What the log says of the training; a hint, for runs without a heartbeat."""
    marks: Any = None
    """The `AgeState`; read back as plain JSON, for `monitor.ages.continued` alone to decode."""

    @property
    def process(self) -> ProcessId:
        """The watcher that wrote it."""
        return ProcessId(pid=self.pid, boot_id=self.boot_id, start_ticks=self.start_ticks)


@dataclass(frozen=True, slots=True)
class WatchRead:
    """What watch.json held; neither value nor problem when there is none."""

    value: WatchState | None = None
    problem: str | None = None


def read_watch(path: Path) -> WatchRead:
    """Read *path*. Never raises."""
    read = read_json(path)
    if read.value is None:
        return WatchRead(problem=read.problem)
    try:
        state = decode(WatchState, read.value)
    except ValueError as error:
        return WatchRead(problem=f"{path.name} is not usable: {error}")
    if state.schema != SCHEMA:
        return WatchRead(problem=f"{path.name} is of schema {state.schema}, not {SCHEMA}")
    return WatchRead(state)


class WatchReader:
    """Reads a run's watch.json again and again; it is parsed only when it was replaced."""

    def __init__(self, run_dir: RunDir) -> None:
        self._run_dir = run_dir
        self._key: tuple[int, int, int] | None = None
        self._read = WatchRead()

    def read(self) -> WatchRead:
        """What `read_watch` returns."""
        path = self._run_dir.watch
        try:
            status = path.stat()
        except OSError:
            self._key = None
            return read_watch(path)
        key = (status.st_ino, status.st_mtime_ns, status.st_size)
        if key != self._key:
            self._read = read_watch(path)
            # What could not be used is read again.
            self._key = key if self._read.value is not None else None
        return self._read


def write_watch(path: Path, state: WatchState) -> None:
    """Replace *path*, without waiting for the disk. Raises OSError."""
    replace_bytes(path, dumps(_plain(state)), durable=False)


def age_of(state: WatchState, boot_id: str, monotonic_s: float) -> float | None:
    """Seconds since the watcher wrote *state*; None when that was on another boot."""
    if state.boot_id != boot_id:
        return None
    return max(0.0, monotonic_s - state.monotonic_s)


def sweep_temporaries(path: Path) -> None:
    """Remove what a watcher that was killed while it wrote has left beside *path*."""
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        pid = left.name.rsplit(".", 2)[1]
        if pid.isdigit() and int(pid) != os.getpid():
            left.unlink(missing_ok=True)


def _plain(state: WatchState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in WatchState.__dataclass_fields__}
