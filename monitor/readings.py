"""What the probes read at one instant, as frozen values. Pure.

`None` means *not known*, never zero: a figure that a sensor does not give is None.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One iter_NNNNNNN folder."""

    iteration: int
    complete: bool
    """Its files are whole: it can be resumed from."""
    size_bytes: int
    modified_wall: float
    """Wall-clock mtime in seconds, for display only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointReading:
    """The checkpoints folder at one instant."""

    tracker: int | None = None
    """The iteration that latest_checkpointed_iteration.txt names."""
    checkpoints: tuple[Checkpoint, ...] = ()
    """By iteration, ascending."""
    writing_bytes: int | None = None
    """Bytes in folders that are still being written; None when there is none."""
    free_bytes: int | None = None
    """Free for this user in the file system of the folder."""

    @property
    def last_complete(self) -> Checkpoint | None:
        """The newest checkpoint that a resume could use."""
        return next((each for each in reversed(self.checkpoints) if each.complete), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReading:
    """A log file at one instant, without reading all of it."""

    path: str
    size_bytes: int
    modified_wall: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessReading:
    """The trainer and its descendants at one instant."""

    alive: bool
    """False also for a zombie and for a pid that now belongs to another process."""
    state: str | None = None
    """One letter of /proc/PID/stat: R S D T t Z ..."""
    cpu_s: float | None = None
    """User + system CPU seconds of the process and its living descendants."""
    written_bytes: int | None = None
    """write_bytes + wchar of /proc/PID/io; None where this user may not read it."""
    rss_bytes: int | None = None
    anonymous_bytes: int | None = None
    """Of the resident memory what is no file's: it can be had back only from the process."""
    wchan: str | None = None
    pids: tuple[int, ...] = ()
    """Of the process and its living descendants."""
    hidden: tuple[str, ...] = ()
    """What this user may not read, for example "io"."""
    zombies: tuple[str, ...] = ()
    """Names of descendants that have ended and were not waited for (a dead save worker)."""
    waits: tuple[tuple[str, int], ...] = ()
    """(what the kernel holds a thread in, how many threads); read now and then, most first."""
    pipe: PipeReading | None = None
    """Where stdout or stderr is a pipe; None also while nobody has looked."""
    cgroup: CgroupReading | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReading:
    """The machine's memory in bytes, from /proc/meminfo. used = total - available."""

    total_bytes: int
    available_bytes: int
    free_bytes: int
    cached_bytes: int
    swap_total_bytes: int = 0
    swap_free_bytes: int = 0
    psi_some_avg10: float | None = None
    """Percent of the last 10 s in which some task waited for memory."""
    psi_full_avg10: float | None = None
    """Percent of the last 10 s in which every task waited for memory."""

    @property
    def used_bytes(self) -> int:
        """What cannot be had without taking it from someone."""
        return self.total_bytes - self.available_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReading:
    """One GPU at one instant. Every figure the driver does not give is None."""

    index: int
    name: str
    age_s: float = 0.0
    """How old this reading is: NVML can block, the last good one is shown with its age."""
    utilisation_percent: int | None = None
    power_w: float | None = None
    temperature_c: int | None = None
    sm_clock_mhz: int | None = None
    throttle: tuple[str, ...] = ()
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    process_bytes: tuple[tuple[int, int | None], ...] = ()
    """(pid, usedGpuMemory in bytes) for each compute process."""
    shares_memory: bool | None = None
    """True where the driver says that this GPU has no memory of its own; None: it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineReading:
    """The machine at one instant."""

    memory: MemoryReading | None = None
    gpus: tuple[GpuReading, ...] = ()
    cpu_percent: float | None = None
    """Of all cores, 0 to 100."""
    load1: float | None = None
    disk_free_bytes: int | None = None
    """Free for this user in the file system of the run."""
    kernel: KernelReading | None = None
    """None where this user may not read the kernel's log."""
    gpu_problem: str | None = None
    """Why the GPUs' figures are old or missing, in the driver's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProgress:
    """What the log's own lines have said so far; a hint, never proof of silence."""

    iteration: int | None = None
    every: int | None = None
    """Iterations from the line that told of one before the last to the last."""
    total: int | None = None
    loss: float | None = None
    nan: bool = False
    """The newest step line gave a loss that is no number, or left it out where it belongs."""
    grad_nan: bool = False
    """Its gradient norm is no number, or an iteration whose loss was none was skipped."""
    lr: float | None = None
    grad_norm: float | None = None
    epoch: float | None = None
    """Advances also where the lines count no iterations (transformers without its bar)."""
    eval_loss: float | None = None
    saved: int | None = None
    """The last iteration that the log says was saved."""
    step_s: float | None = None
    """Seconds an iteration, as the log says."""
    save_s: float | None = None
    """What the last save cost, as the log says."""
    memory_bytes: int | None = None
    """Most GPU memory that the trainer says it has taken."""
    phase: str | None = None
    """A value of `Phase`, from the log's milestones; None while it named none."""
    error: str | None = None
    """The newest line that names an error (an exception, CUDA out of memory)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipeReader:
    """A process that holds the other end of a pipe, or shows a terminal."""

    pid: int
    name: str
    state: str | None = None
    """One letter of /proc/PID/stat."""
    terminal: str | None = None
    """It is held in a write to this terminal, which takes nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipeReading:
    """The pipe, or the terminal, that a trainer writes its stdout or stderr into."""

    descriptor: int
    """1 or 2."""
    writer_blocked: bool = False
    """One of its threads is held in a write to it, for it is full: that run will stop."""
    readers: tuple[PipeReader, ...] = ()
    """Empty: not to be seen by this user, or held by a process outside (a docker client)."""
    through_container: bool = False
    """The other end is a container's runtime, whose client may have stalled."""
    terminal: str | None = None
    """It is this terminal (/dev/pts/3), no pipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelReading:
    """What the kernel's log said since the trainer was started; counts only grow."""

    xids: tuple[int, ...] = ()
    """NVRM Xid numbers, oldest first."""
    gpu_lost: bool = False
    """The driver said that a GPU fell off the bus, or asks for a reset or a reboot."""
    no_memory_lines: int = 0
    """NVRM lines with NV_ERR_NO_MEMORY (0x51): a count to show, no alarm by itself."""
    oom_kills: tuple[int, ...] = ()
    """Pids that the kernel's out-of-memory killer ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupReading:
    """Host memory of the run's own control group. On a GB10 it does not count CUDA memory."""

    version: int
    """1 or 2."""
    used_bytes: int | None = None
    limit_bytes: int | None = None
    """None: no limit."""
    peak_bytes: int | None = None
    oom_kills: int | None = None
