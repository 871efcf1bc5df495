"""Facts about a run, as frozen values, and the words for them.

Ages are seconds of *observed* time (see `monitor.ages`), never a difference of wall clocks. `None`
means *not known*, never zero: a run that has written no checkpoint yet has no checkpoint age.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from monitor.readings import (
    CgroupReading,
    Checkpoint,
    CheckpointReading,
    GpuReading,
    KernelReading,
    LogProgress,
    LogReading,
    MachineReading,
    MemoryReading,
    PipeReader,
    PipeReading,
    ProcessReading,
)

__all__ = [
    "FINAL",
    "Ages",
    "CgroupReading",
    "Checkpoint",
    "CheckpointReading",
    "Evidence",
    "GpuReading",
    "Heartbeat",
    "History",
    "KernelReading",
    "Liveness",
    "LogProgress",
    "LogReading",
    "MachineReading",
    "MemoryReading",
    "Observation",
    "Phase",
    "PipeReader",
    "PipeReading",
    "ProcessId",
    "ProcessReading",
    "Spread",
    "Stage",
    "Status",
    "Verdict",
]


class Liveness(StrEnum):
    """What the evidence says about a run. The order of precedence is in `monitor.liveness`."""

    STARTING = "starting"
    WORKING = "working"
    TRAINING = "training"
    SAVING = "saving"
    LOG_STUCK = "log-stuck"
    SLOW = "slow"
    SUSPECT = "suspect"
    STALLED = "stalled"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    ENDED = "ended"
    LOST = "lost"


FINAL = frozenset({Liveness.FINISHED, Liveness.FAILED, Liveness.STOPPED, Liveness.ENDED})
"""Verdicts of a run that is over."""


class Status(StrEnum):
    """What the keeper says about a run in state.json."""

    QUEUED = "queued"
    """It waits for the end of another run; nothing of it has begun."""
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def final(self) -> bool:
        """True once nothing more will happen in this attempt."""
        return self in (Status.FINISHED, Status.FAILED, Status.STOPPED)


class Stage(StrEnum):
    """One step of a lane, in the order in which a lane may use them."""

    PULL = "pull"
    FETCH = "fetch"
    PREPARE = "prepare"
    IMPORT = "import"
    TRAIN = "train"
    MERGE = "merge"


class Phase(StrEnum):
    """What the trainer does now, as its heartbeat says."""

    LOADING = "loading"
    FIRST_ITERATION = "first_iteration"
    ITERATION = "iteration"
    SAVING = "saving"
    EVALUATING = "evaluating"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessId:
    """A process that cannot be mistaken for a later one that reuses its pid."""

    pid: int
    boot_id: str
    start_ticks: int
    """Field 22 of /proc/PID/stat: clock ticks since boot, raw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What the trainer last wrote of itself (heartbeat.json)."""

    attempt: int
    seq: int
    pid: int
    boot_id: str
    monotonic_s: float
    stage: str
    phase: str
    done: int | None = None
    total: int | None = None
    unit: str = "iterations"
    """What `done` and `total` count: iterations, bytes, tensors or rows."""
    loss: float | None = None
    nan: bool = False
    """The loss is no number; a loss of None alone is not known."""
    lr: float | None = None
    grad_norm: float | None = None
    step_s: float | None = None
    write_errors: int = 0
    """Contract writes that failed and were swallowed (a full disk, say)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """Seconds of observed time since each signal last changed; None: never seen to change."""

    progress_s: float | None = None
    """Since the last proof of progress: heartbeat's done or phase, tracker, finished checkpoint."""
    stage_s: float | None = None
    """Since the current stage was first seen."""
    phase_s: float | None = None
    heartbeat_s: float | None = None
    tracker_s: float | None = None
    checkpoint_s: float | None = None
    """Since a checkpoint folder appeared, grew or finished."""
    writing_s: float | None = None
    """Since the checkpoint that is being written last grew; None while none is written."""
    log_s: float | None = None
    log_iteration_s: float | None = None
    """Since the log's own lines last told of a further iteration."""
    iteration_s: float | None = None
    """Since `History.iteration` was proven."""
    excluded_s: float | None = None
    """In a state that excludes progress (stopped, blocked in a pipe, waiting for a disk)."""
    powered_s: float | None = None
    """Since the run's own GPU last drew what it usually draws at work."""
    computing_s: float | None = None
    """Since the process last used as much CPU as it usually does while iterations advance."""
    gone_s: float | None = None
    """Since a process that was seen to live was first seen to be gone; None while it lives."""
    hint_s: float | None = None
    """Since log and folders of a run without a heartbeat began to hint at its present phase."""
    cpu_s: float | None = None
    """Since the process last used CPU above the idle level."""
    written_s: float | None = None
    gpu_s: float | None = None
    """Since a GPU was last seen above its idle level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How long one kind of thing takes: what was measured of it, stalls left out."""

    mean_s: float
    deviation_s: float
    """Standard deviation; 0 for a single one, which tells no spread."""
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the watcher has learnt about this run; survives its restarts (watch.json)."""

    step_max_s: float | None = None
    """Largest interval between two iterations; after 20 of them the largest but one, after 100 but
    two: a few slow iterations are no pace."""
    step_count: int = 0
    step_median_s: float | None = None
    step_recent_s: float | None = None
    """Median of the last five intervals."""
    step_least_s: float | None = None
    """The second least of the last five: an evaluation lies in many of them, not in nearly all."""
    step_low_s: float | None = None
    step_high_s: float | None = None
    """20th and 80th percentile of the intervals."""
    save_max_s: float | None = None
    save_count: int = 0
    saves_this_process: int = 0
    first_save_s: float | None = None
    save_median_s: float | None = None
    """Of the saves after a process's first."""
    eval_max_s: float | None = None
    eval_count: int = 0
    start_s: float | None = None
    """Longest loading before a first iteration."""
    first_iteration_s: float | None = None
    log_cadence_s: float | None = None
    """Largest gap between two growths of the log while iterations advanced."""
    log_growths: int = 0
    iterations_since_log: int = 0
    """Iterations proven since the log last grew."""
    log_gap_iterations: int = 0
    """Most iterations between two growths of the log."""
    power_median_w: float | None = None
    """Of the run's own GPU while iterations advanced; None without a GPU of its own."""
    clock_median_mhz: float | None = None
    """Of the SM clock of that GPU, as iterations ended."""
    step: Spread | None = None
    """Of the whole run's iterations."""
    step_now: Spread | None = None
    """Of those among the last 32 iterations that keep the pace of the last five."""
    save: Spread | None = None
    """Of the saves after a process's first."""
    evaluation: Spread | None = None
    power_low_w: float | None = None
    """5th percentile of the same."""
    power_spread_w: float | None = None
    """Standard deviation of the same."""
    recent_power_w: float | None = None
    """Largest of the last three minutes; None until so long was seen."""
    recent_spread_w: float | None = None
    recent_busy_percent: float | None = None
    """Lowest utilisation of the last three minutes."""
    save_missing: int = 0
    """Processes of the trainer that ended while a checkpoint was being written."""
    iteration: int | None = None
    """The highest iteration that log or checkpoints proved; only without a heartbeat."""
    iteration_source: str | None = None
    """What proved it: log, tracker or checkpoint."""
    saved: int | None = None
    """The newest finished checkpoint, as `iteration` without a heartbeat."""
    pace_s: float | None = None
    """Seconds an iteration by the log, evaluations and saves among them."""
    pace_count: int = 0
    log_gap_s: float | None = None
    """Largest time between two iterations that the log told of."""
    checkpoint_gap_s: float | None = None
    """Largest time between two finished checkpoints, both of them seen to come."""
    checkpoint_gap_least_s: float | None = None
    """The smallest of them: how soon a checkpoint comes at the run's best pace."""
    checkpoint_gap_iterations: int | None = None
    checkpoint_wait_s: float | None = None
    """How long the watch waited for the first checkpoint that it saw come."""
    loss_trouble: str | None = None
    """A value of `monitor.loss.LossTrouble`."""
    loss_words: str = ""
    """What is wrong with the losses, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything known about one run at one instant."""

    run: str
    taken_at: float
    """Observed seconds since the watch began; no clock, see `monitor.ages`."""
    status: Status | None = None
    cause: str | None = None
    stage: str | None = None
    attempt: int = 1
    total: int | None = None
    """Iterations expected, from the recipe."""
    save_interval: int | None = None
    """Iterations between two saves, where that is known."""
    boot_changed: bool = False
    """The machine was started anew since the trainer was."""
    heartbeat: Heartbeat | None = None
    checkpoints: CheckpointReading | None = None
    log: LogReading | None = None
    log_progress: LogProgress | None = None
    process: ProcessReading | None = None
    machine: MachineReading | None = None
    ages: Ages = field(default_factory=Ages)
    history: History = field(default_factory=History)
    unreadable: tuple[str, ...] = ()
    """Sources that exist but could not be read, each with its reason."""
    foreign: bool = False
    """lanewatch did not start it: there is no keeper to say how it ends."""
    held: bool | None = None
    """Whether a keeper or a trainer holds the run's locks; None: not asked, or not to be seen."""
    memory_limit_bytes: int | None = None
    """What the run may let the machine use."""
    own_power_w: float | None = None
    """Power of a GPU that only this run uses; None where it is shared or not known."""
    last_sample_wall: float | None = None
    """When the run was last observed before the machine was restarted."""
    last_words: str | None = None
    """The same with what was seen then, as a clause; None where no sample is left."""
    saves_visible: bool = True
    """Its checkpoints folder is known: the next checkpoint would be seen."""
    saves_late: bool = True
    """That folder may show a checkpoint up to a minute late; False: it is on a local disk."""
    keep_last: int | None = None
    """Checkpoints that the trainer keeps; None or 0: all, as far as is known."""
    gpu_shared: bool = False
    """Others compute on the run's GPU: its power and utilisation say nothing about this run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One signal: what it says, how old that is, and which verdict it supports."""

    signal: str
    detail: str
    age_s: float | None = None
    supports: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A judgement, the sentence that gives it, and the evidence it rests on."""

    liveness: Liveness
    reason: str
    flags: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    iteration: int | None = None
    iteration_error: int = 0
    """The true iteration is at most this many past `iteration`."""
    iteration_source: str | None = None
    limit_s: float | None = None
    """The limit on time since progress that applied."""
    signature: str | None = None
    """What a stall or a slowness looks like: a value of `monitor.signatures.Signature`."""
