"""What the probes saw at one instant, before anyone has said how old it is. Pure values."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.model import (
    CheckpointReading,
    GpuReading,
    Heartbeat,
    LogProgress,
    LogReading,
    MachineReading,
    ProcessReading,
)

GPU_FRESH_S = 10.0
"""An older reading of a GPU says nothing about now: NVML may be blocked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One look at a run. What could not be read is `None` and changes nothing that was known."""

    boot_id: str
    monotonic_s: float
    """CLOCK_MONOTONIC of the look, comparable with a heartbeat's on the same boot."""
    attempt: int = 1
    stage: str | None = None
    heartbeat: Heartbeat | None = None
    checkpoints: CheckpointReading | None = None
    log: LogReading | None = None
    log_progress: LogProgress | None = None
    process: ProcessReading | None = None
    machine: MachineReading | None = None
    held: bool | None = None
    """Whether a keeper or a trainer holds the run's locks; None: not asked, or not to be seen."""

    @property
    def current_heartbeat(self) -> Heartbeat | None:
        """The heartbeat if this attempt and stage wrote it; a run's folder outlives both."""
        beat = self.heartbeat
        if beat is None or beat.attempt != self.attempt or beat.stage != (self.stage or beat.stage):
            return None
        return beat


def heartbeat_age(facts: Facts) -> float | None:
    """Seconds since the trainer wrote its current heartbeat, by its stamp; None on another boot."""
    beat = facts.current_heartbeat
    if beat is None or beat.boot_id != facts.boot_id:
        return None
    return max(0.0, facts.monotonic_s - beat.monotonic_s)


def own_power(machine: MachineReading | None, process: ProcessReading | None) -> float | None:
    """Watts of the one GPU that computes, if it does so for *process* alone; None otherwise."""
    busy = [gpu for gpu in machine.gpus if gpu.process_bytes] if machine else []
    if process is None or len(busy) != 1 or busy[0].age_s > GPU_FRESH_S:
        return None
    users = [pid for pid, _ in busy[0].process_bytes]
    return busy[0].power_w if len(users) == 1 and users[0] in process.pids else None


def gpus_of(
    machine: MachineReading | None, process: ProcessReading | None
) -> tuple[GpuReading, ...]:
    """The GPUs that may be the run's: those it computes on, else those that nobody is seen on.

    Where the driver lists no process at all nobody can say whose they are: then they are all.
    """
    gpus = machine.gpus if machine else ()
    pids = set(process.pids) if process else set()
    own = tuple(gpu for gpu in gpus if any(pid in pids for pid, _ in gpu.process_bytes))
    return own or tuple(gpu for gpu in gpus if not gpu.process_bytes)


def gpu_shared(machine: MachineReading | None, process: ProcessReading | None) -> bool:
    """Others compute on a GPU that the run computes on."""
    pids = set(process.pids) if process else set()
    return any(
        any(pid in pids for pid, _ in gpu.process_bytes)
        and any(pid not in pids for pid, _ in gpu.process_bytes)
        for gpu in (machine.gpus if machine else ())
    )
