"""What a diagnosis is made of, as frozen values. Pure. `None` means not known, never zero."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from monitor.diagnosis.places import Surroundings


class Confidence(StrEnum):
    """How far a conclusion may be relied on."""

    SURE = "sure"
    """The kernel names it, or progress was seen."""
    LIKELY = "likely"
    UNSURE = "unsure"
    """`decides` says what would tell."""


class Cause(StrEnum):
    """Classes of causes beyond the signatures of `monitor.signatures`, whose names are used too."""

    HEALTHY = "healthy"
    ENDED = "ended"
    DEADLOCK = "deadlock"
    SPINNING = "spinning"
    WORKER_DEAD = "worker-dead"
    LOG_STUCK = "log-stuck"
    """It gets on; its log does not."""
    LOSS = "loss"
    """It gets on, but its loss is no number, or leaves all bounds."""
    MEMORY_LIMIT = "memory-limit"
    DISK_LOW = "disk-low"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out-of-memory"
    DISK_FULL = "disk-full"
    KILLED = "killed"
    """By a signal that lanewatch was not asked to send."""
    SILENT_END = "silent-end"
    """Exit code 0 without a result."""
    RESTARTED = "machine-restarted"
    ON_REQUEST = "stopped-on-request"
    PAUSED = "paused"
    """Its control group is frozen."""
    RANK_BEHIND = "rank-behind"
    """One rank stands elsewhere, and the others wait for it."""
    RANK_GONE = "rank-gone"
    COLLECTIVES_DIFFER = "collectives-differ"
    FILE_SYSTEM = "file-system"
    """It does not answer."""
    PEER_STOPPED = "peer-stopped"
    """Whoever ought to write what it reads is stopped."""
    LOCK_HELD = "lock-held"
    """By a thread that does not give it back."""
    WAITS_FOR_LOCK = "waits-for-lock"
    WAITS_FOR_PIPE = "waits-for-pipe"
    WAITS_FOR_SOCKET = "waits-for-socket"
    WAITS_FOR_CHILD = "waits-for-child"
    WAITS_FOR_EVENT = "waits-for-event"
    SLEEPS = "sleeps"
    WAITS = "waits"
    """For what cannot be seen."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Frame:
    """One call of a Python stack."""

    function: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.function} ({'/'.join(self.file.split('/')[-2:])}:{self.line})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The Python stack of one thread at one instant, innermost call first."""

    pid: int
    tid: int | None
    name: str | None
    frames: tuple[Frame, ...]
    active: bool | None = None
    """It runs, in the eyes of who took the stack; an idle thread waits for something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelThread:
    """What the kernel says of one thread."""

    pid: int
    tid: int
    state: str
    cpu_share: float
    """Of one core, over the seconds of the look."""
    wchan: str | None = None
    syscall: str | None = None
    ran: bool | None = None
    """It was on a core at all meanwhile; False: it stood still, however few samples there are."""
    waited_share: float | None = None
    """Of the seconds of the look, in which it wanted a core and others had it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadView:
    """One thread over all samples: its stack, whether it moved, what the kernel says."""

    pid: int
    tid: int | None
    name: str | None
    still: bool
    """Every sample showed the same calls at the same lines."""
    stays_in: tuple[Frame, ...]
    """The calls that every sample held, innermost first, as the last sample had them."""
    kernel: KernelThread | None = None
    line: str | None = None
    """The source of the innermost call's line, where it can be read."""
    idle: bool | None = None
    """It waited in every sample."""
    native: tuple[str, ...] = ()
    """Native calls inside its innermost Python call, innermost first, where they were asked for."""
    holds: tuple[str, ...] = ()
    """What the `with` blocks it stands in have taken, as their lines call it, innermost first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Threads that stand at the same place."""

    frames: tuple[Frame, ...]
    still: bool
    threads: tuple[str, ...]
    """Names, each with its pid."""
    idle: bool | None = None
    """They waited in every sample; False: one of them ran in one."""
    native: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A known problem of this stack that was recognised."""

    name: str
    seen: str
    """By what it was recognised."""
    explanation: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the run's keeper, log and checkpoints say, beside what it does now."""

    flags: tuple[str, ...] = ()
    holder: str | None = None
    """Who holds a silent log back, where that is visible."""
    memory: str | None = None
    """The memory verdict's reason, where memory is tight by what this run itself takes."""
    cause: str | None = None
    """How it ended, as its keeper recorded it."""
    raised: str | None = None
    """Last line of the traceback that ended it."""
    frames: tuple[Frame, ...] = ()
    """Of that traceback, innermost call first."""
    pruned: int | None = None
    """The tracker names this checkpoint, and it is not there."""
    known: tuple[Known, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisFacts:
    """Everything that a conclusion may rest on."""

    run: str
    attempt: int
    foreign: bool
    alive: bool | None
    """None: no process is known."""
    pid: int | None
    liveness: str
    reason: str
    signature: str | None
    words: str
    """What `monitor.signatures` sees."""
    advanced: bool
    """Progress was seen while it was looked at."""
    seconds: float
    samples: int
    """Of stacks that could be taken."""
    source: str | None
    """Who gave the stacks: py-spy, faulthandler or nobody."""
    threads: tuple[ThreadView, ...] = ()
    kernel: tuple[KernelThread, ...] = ()
    zombies: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """Rights and sources that were not to be had, and how to have them."""
    checkpoint: int | None = None
    checkpoint_age_s: float | None = None
    work_s: float | None = None
    """Of work since that checkpoint, by the watch; the time of the hang is left out."""
    told: Told = field(default_factory=Told)
    around: Surroundings = field(default_factory=Surroundings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One thing to do, and what it loses."""

    do: str
    loses: str
    commands: tuple[tuple[str, ...], ...] = ()
    """What a screen may run for it, in this order; none: it is not ours to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What the facts support."""

    cause: str
    confidence: Confidence
    sentence: str
    supports: tuple[str, ...]
    against: tuple[str, ...]
    decides: str | None
    """When unsure: what would tell."""
    remedies: tuple[Remedy, ...]
    known: tuple[Known, ...] = ()
