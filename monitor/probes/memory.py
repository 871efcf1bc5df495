"""The machine's memory from /proc/meminfo: the truth on a unified-memory box as well.

MemAvailable decides, never MemFree: page cache counts as free, GPU allocations do not.
"""

from __future__ import annotations

from monitor.model import MemoryReading
from monitor.probes import Read
from monitor.probes.raw import ReadFile, read_proc, reason


def read_memory(read: ReadFile = read_proc) -> Read[MemoryReading]:
    """Read /proc/meminfo, and the memory pressure where the kernel has it."""
    try:
        raw = read("/proc/meminfo")
    except OSError as error:
        return Read(problem=f"/proc/meminfo cannot be read: {reason(error)}")
    some, full = _read_pressure(read)
    reading = parse_meminfo(raw, some, full)
    if reading is None:
        return Read(problem="/proc/meminfo names no MemTotal or MemAvailable")
    return Read(reading)


def read_memory_fast() -> MemoryReading | None:
    """/proc/meminfo alone: what is worth reading many times a second."""
    try:
        return parse_meminfo(read_proc("/proc/meminfo"))
    except OSError:
        return None


def parse_meminfo(
    raw: bytes, psi_some_avg10: float | None = None, psi_full_avg10: float | None = None
) -> MemoryReading | None:
    """Parse /proc/meminfo (values in kB = 1024 bytes). None without a total and an available."""
    kilobytes: dict[bytes, int] = {}
    for line in raw.splitlines():
        name, _, rest = line.partition(b":")
        words = rest.split()
        if words and words[0].isdigit() and len(words[0]) < 18:
            kilobytes[name] = int(words[0])
    total, available = kilobytes.get(b"MemTotal"), kilobytes.get(b"MemAvailable")
    if not total or available is None:
        return None
    cached = sum(kilobytes.get(name, 0) for name in (b"Cached", b"Buffers"))
    return MemoryReading(
        total_bytes=total << 10,
        available_bytes=min(available, total) << 10,
        free_bytes=kilobytes.get(b"MemFree", 0) << 10,
        # Shmem is counted as cached, but nothing can reclaim it.
        cached_bytes=max(0, cached - kilobytes.get(b"Shmem", 0)) << 10,
        swap_total_bytes=kilobytes.get(b"SwapTotal", 0) << 10,
        swap_free_bytes=kilobytes.get(b"SwapFree", 0) << 10,
        psi_some_avg10=psi_some_avg10,
        psi_full_avg10=psi_full_avg10,
    )


def parse_pressure(raw: bytes, kind: bytes = b"some") -> float | None:
    """The avg10 of the line *kind* (some, full) of /proc/pressure/memory, in percent."""
    for line in raw.splitlines():
        words = line.split()
        if words[:1] == [kind] and len(words) > 1 and words[1].startswith(b"avg10="):
            try:
                percent = float(words[1][6:])
            except ValueError:
                return None
            return percent if 0 <= percent <= 100 else None
    return None


def _read_pressure(read: ReadFile) -> tuple[float | None, float | None]:
    """(some, full); a kernel may have neither."""
    try:
        raw = read("/proc/pressure/memory", 512)
    except OSError:
        return None, None
    return parse_pressure(raw), parse_pressure(raw, b"full")
