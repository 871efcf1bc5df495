"""What a thread waits for, which rank a process is, and what the box says. Frozen values, pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MOST_RANKS = 16
"""Of one machine that are looked at."""


class WaitKind(StrEnum):
    """What sort of thing is waited for."""

    PIPE = "pipe"
    SOCKET = "socket"
    FILE = "file"
    DEVICE = "device"
    LOCK = "lock"
    CHILD = "child"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """A process at the other end of a pipe or of a connection on this machine."""

    pid: int
    name: str
    state: str
    """One letter of /proc/PID/stat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystem:
    """Where a path lies, and whether that answers."""

    point: str
    kind: str
    """ext4, nfs4, fuse …"""
    source: str
    answer_s: float | None = None
    """How long statvfs took; None where it was not asked or has not answered."""
    silent_s: float | None = None
    """It has not answered for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What the kernel holds one thread in, with the name of the thing."""

    pid: int
    tid: int
    kind: WaitKind
    call: str
    """The system call."""
    what: str
    """A path, "pipe:[123]", "tcp 127.0.0.1:1 to 10.0.0.2:29500", an address of a futex."""
    ends: tuple[End, ...] | None = None
    """Other processes that hold the other end; None: not to be known."""
    file_system: FileSystem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """A process of a run over several, by its environment."""

    rank: int
    pid: int
    local: int | None = None
    world: int | None = None
    on_machine: bool = True
    """`world` counts those of this machine; False: of all machines, of which more may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collective:
    """What a rank's flight recorder holds of one group: the last thing done, and what is open."""

    rank: int
    group: str = ""
    """Of ranks; numbers are counted in each apart."""
    done: int
    """The highest number of a collective that it has completed; 0 for none."""
    pending: str | None = None
    """The first that it has begun and not completed."""
    pending_number: int | None = None
    place: str | None = None
    """The line that called it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Everything around the threads that a conclusion may rest on."""

    waits: tuple[Wait, ...] = ()
    ranks: tuple[Rank, ...] = ()
    collectives: tuple[Collective, ...] = ()
    frozen: str | None = None
    """The path of its control group, which is frozen."""
    container: str | None = None
    """The short id of the container that it is in."""
    checkpoints_silent: FileSystem | None = None
    """Where its checkpoints lie, if that does not answer."""
    major_faults_s: float | None = None
    """Pages that the run's processes had to read from a disk, each second of the look."""
    box: tuple[str, ...] = ()
    """Sentences on the machine: pressure, disks, heat, kernel, others on the GPU, the engine."""
