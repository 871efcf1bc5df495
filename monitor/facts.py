"""What the probes saw at one instant, before anyone has said how old it is. Pure values."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.model import CheckpointReading, Heartbeat, LogReading, MachineReading, ProcessReading


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
    process: ProcessReading | None = None
    machine: MachineReading | None = None

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


def own_power(machine: MachineReading | None) -> float | None:
    """Watts of the one GPU that computes for exactly one process; None where GPUs are shared."""
    busy = [gpu for gpu in machine.gpus if gpu.process_bytes] if machine else []
    if len(busy) != 1 or len(busy[0].process_bytes) != 1:
        return None
    return busy[0].power_w
