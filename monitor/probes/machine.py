"""The machine around a run: memory, GPUs, CPU, load and the disk that the run writes to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from monitor.model import GpuReading, KernelReading, MachineReading
from monitor.probes import Read
from monitor.probes.memory import read_memory
from monitor.probes.raw import ReadFile, read_proc, reason

_IDLE_FIELDS = slice(3, 5)  # idle, iowait
_ALL_FIELDS = slice(0, 8)  # guest time is counted in user already


class GpuSource(Protocol):
    """Whoever has the latest GPU readings at hand, without waiting for the driver."""

    @property
    def problem(self) -> str | None: ...

    def latest(self) -> tuple[GpuReading, ...]: ...


class CpuMeter:
    """How busy all cores were since the last call."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None

    def read(self, read: ReadFile = read_proc) -> float | None:
        """Percent of all cores, 0 to 100; None at the first call."""
        try:
            times = parse_cpu_times(read("/proc/stat", 512))
        except OSError:
            times = None
        before, self._last = self._last, times
        return None if before is None or times is None else busy_percent(before, times)


def parse_cpu_times(raw: bytes) -> tuple[int, int] | None:
    """(idle, total) ticks of the first line of /proc/stat."""
    words = raw.partition(b"\n")[0].split()
    if len(words) < 6 or words[0] != b"cpu":
        return None
    try:
        ticks = [int(word) for word in words[1:]]
    except ValueError:
        return None
    return sum(ticks[_IDLE_FIELDS]), sum(ticks[_ALL_FIELDS])


def busy_percent(before: tuple[int, int], after: tuple[int, int]) -> float | None:
    """Share of the ticks between two readings that were not idle; None when none passed."""
    idle, total = after[0] - before[0], after[1] - before[1]
    if total <= 0:
        return None
    return min(100.0, max(0.0, 100.0 * (1 - idle / total)))


def read_machine(
    folder: Path,
    gpus: GpuSource | None = None,
    cpu: CpuMeter | None = None,
    kernel: KernelReading | None = None,
    read: ReadFile = read_proc,
) -> Read[MachineReading]:
    """Read the machine; *folder* tells which disk. The value is always there, in parts None.

    *kernel* is what its log said, for which a probe is kept open; *read* reads the files of /proc.
    """
    memory = read_memory(read)
    free = _disk_free(folder)
    problems = [memory.problem, free.problem, gpus.problem if gpus else None]
    reading = MachineReading(
        memory=memory.value,
        gpus=gpus.latest() if gpus else (),
        cpu_percent=cpu.read(read) if cpu else None,
        load1=_load1(),
        disk_free_bytes=free.value,
        kernel=kernel,
        gpu_problem=gpus.problem if gpus else None,
    )
    return Read(reading, "; ".join(each for each in problems if each) or None)


def _load1() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def _disk_free(folder: Path) -> Read[int]:
    try:
        status = os.statvfs(folder)
    except OSError as error:
        return Read(problem=f"free space of {folder} cannot be read: {reason(error)}")
    return Read(status.f_bavail * status.f_frsize)
