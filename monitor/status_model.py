"""What can be said about one run at one instant, as `lanewatch status --json` says it.

Pure values: this module reads nothing. Its JSON is an interface that people script against: keys
are added, never renamed or removed. `monitor.status` makes these values from a run folder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.model import FINAL, Evidence, Liveness, MachineReading, Status
from monitor.rundir import SCHEMA


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationView:
    """How far training is: `value` of `total`, and at most `error` further."""

    value: int | None = None
    total: int | None = None
    error: int = 0
    source: str | None = None
    """The signal that proves `value`: heartbeat, tracker, checkpoint or metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EtaView:
    """When training will end, in seconds from now, with the range its own spread allows."""

    seconds: float
    low_s: float
    high_s: float
    finish_wall: float
    """Seconds since the epoch, for display."""
    unknown: tuple[str, ...] = ()
    """What is still to come and was never seen, so that `seconds` lacks it: "save cost"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointView:
    """One checkpoint folder; `age_s` is by wall clock, since that is all a folder records."""

    iteration: int
    age_s: float
    size_bytes: int | None
    """None in a list of runs, where it is not counted."""
    complete: bool
    save_s: float | None = None
    """What writing it cost, from the trainer's own metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryView:
    """The machine's memory against the limit of this run, in bytes."""

    used_bytes: int
    limit_bytes: int
    minutes_to_limit: float | None = None
    """None: not rising, or not known."""
    peak_bytes: int | None = None
    """The most the machine used while this run was watched."""
    process_bytes: int | None = None
    """Resident memory of the trainer now."""
    process_peak_bytes: int | None = None
    level: str = "ok"
    """ok, warn, high or limit."""
    reason: str = ""
    """Why it is not ok."""
    headroom_bytes: int = 0
    available_bytes: int | None = None
    gpu_bytes: int | None = None
    """What processes hold on the GPUs; on a unified machine a part of `used_bytes`."""
    cache_bytes: int | None = None
    """Page cache, no part of `used_bytes`."""
    unified: bool | None = None
    run_peak_bytes: int | None = None
    """The most that this run took: used above what the machine used before it."""
    gpu_peak_bytes: int | None = None
    """The most that this run's processes held on the GPU."""
    run_share: float | None = None
    """Of the present climb, 0 to 1, the part that this run explains."""
    guard: str | None = None
    """What the memory guard last did, or did not do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeaksView:
    """The most memory that was used while a run lasted which is over, in bytes."""

    machine_bytes: int | None = None
    """By everything on the machine."""
    process_bytes: int | None = None
    """Resident memory of the trainer."""
    run_bytes: int | None = None
    """By this run: used above what the machine used before it."""
    gpu_bytes: int | None = None
    """By this run's processes on the GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatcherView:
    """The process that observes the run; `age_s` is the age of its last word."""

    pid: int | None = None
    alive: bool = False
    age_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperView:
    """The process that owns the run."""

    pid: int | None = None
    alive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignView:
    """Where a run lives that lanewatch did not start. None: not known."""

    pid: int | None = None
    container: str | None = None
    log: str | None = None
    checkpoints: str | None = None
    warnings: tuple[str, ...] = ()
    """What about the way it was started can hurt it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """One stage of the lane, as state.json has it."""

    name: str
    status: str
    started_wall: float | None = None
    ended_wall: float | None = None
    wall_s: float | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertView:
    """The newest alert of a run."""

    number: int
    key: str
    severity: str
    """wake or tell."""
    title: str
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsView:
    """What was alerted, and whether it can be."""

    pending: tuple[str, ...] = ()
    """What wakes and nobody has acknowledged; each is repeated until `lanewatch ack`."""
    acked: tuple[str, ...] = ()
    last: AlertView | None = None
    channels_failing: Mapping[str, str] = field(default_factory=dict)
    """By name, with the reason; "deadman" is the dead man's switch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """Everything a person asks about one run. `to_json` is `lanewatch status --json`."""

    run: str
    verdict: Liveness
    reason: str
    schema: int = SCHEMA
    name: str | None = None
    lane: str | None = None
    engine: str | None = None
    kind: str | None = None
    """full, smoke or foreign."""
    status: Status | None = None
    flags: tuple[str, ...] = ()
    cause: str | None = None
    since_wall: float | None = None
    """When the verdict became what it is, in seconds since the epoch."""
    stage: str | None = None
    stage_index: int | None = None
    """1 for the first stage."""
    stage_count: int | None = None
    stages: tuple[StageView, ...] = ()
    phase: str | None = None
    attempt: int = 1
    done: int | None = None
    """Of a stage that counts something else than iterations: bytes, tensors or rows."""
    done_total: int | None = None
    unit: str | None = None
    iteration: IterationView = field(default_factory=IterationView)
    loss: float | None = None
    lr: float | None = None
    step_s: float | None = None
    eta: EtaView | None = None
    checkpoints: tuple[CheckpointView, ...] = ()
    """By iteration, ascending."""
    memory: MemoryView | None = None
    """As it is now; None once the run is over."""
    peaks: PeaksView | None = None
    """Of a run that is over; None where nothing was recorded."""
    machine: MachineReading | None = None
    evidence: tuple[Evidence, ...] = ()
    watcher: WatcherView = field(default_factory=WatcherView)
    keeper: KeeperView = field(default_factory=KeeperView)
    foreign: ForeignView | None = None
    """Of a run that lanewatch did not start; such a run has no keeper and no status."""
    created_wall: float | None = None
    ended_wall: float | None = None
    problems: tuple[str, ...] = ()
    """Files of the run that exist but could not be read, each with its reason."""
    alerts: AlertsView = field(default_factory=AlertsView)
    signature: str | None = None
    """What a stall, a slowness or a silent log looks like, as docs/verdicts.md names it."""

    @property
    def final(self) -> bool:
        """True once nothing more will happen in this attempt."""
        if self.foreign is not None:
            return self.verdict in FINAL
        return self.status is not None and self.status.final

    @property
    def succeeded(self) -> bool:
        """It finished; of a foreign run, whose exit status nobody sees, that it got to its end."""
        if self.foreign is None:
            return self.status is Status.FINISHED
        value, total = self.iteration.value, self.iteration.total
        reached = value is not None and total is not None and value >= total
        return self.verdict is Liveness.FINISHED or (self.verdict is Liveness.ENDED and reached)

    def to_json(self) -> dict[str, Any]:
        """The value as JSON types; `since_wall` is called `since` there."""
        value = dataclasses.asdict(self)
        value["since"] = value.pop("since_wall")
        return value
