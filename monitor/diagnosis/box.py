"""What the machine says while a run hangs: pressure, disks, heat, the kernel, others on its GPUs.

The rule: two readings with the samples between them, so that a rate is of now; a source that this
machine has not, or this user may not read, says nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from monitor.diagnosis.ends_of import end
from monitor.diagnosis.rights import container_id
from monitor.model import GpuReading, KernelReading
from monitor.probes.kernel import KernelProbe
from monitor.probes.raw import list_names, read_proc
from monitor.probes.text import clean_line

PRESSED = 10.0
"""Percent of the last 10 s in which some tasks waited."""
BUSY = 0.5
"""Of the time a disk had something to do."""
HOT_C = 90.0
KMSG_LOOKS = 20
_PAGE = os.sysconf("SC_PAGE_SIZE")
_NO_DISKS = ("loop", "ram", "zram")
_ENGINES = frozenset({"dockerd", "containerd", "podman"})


@dataclass(frozen=True, slots=True)
class Meters:
    """Counters of one instant."""

    at_s: float
    faults: dict[int, int]
    """Major page faults by pid."""
    swapped: tuple[int, int] | None
    """Pages swapped in and out since boot."""
    disks: dict[str, tuple[int, int, int]]
    """Requests ended, milliseconds these took in sum, milliseconds the disk was busy."""


def read_meters(pids: Collection[int]) -> Meters:
    """Read them now."""
    return Meters(
        at_s=time.monotonic(),
        faults={pid: count for pid in pids if (count := _major_faults(pid)) is not None},
        swapped=parse_swapped(_text("/proc/vmstat")),
        disks=parse_disks(_text("/proc/diskstats")),
    )


def faults_rate(before: Meters, after: Meters) -> float | None:
    """Major page faults a second of the processes that both have seen."""
    both = before.faults.keys() & after.faults.keys()
    seconds = after.at_s - before.at_s
    if not both or seconds <= 0:
        return None
    return sum(after.faults[pid] - before.faults[pid] for pid in both) / seconds


def box_lines(
    before: Meters,
    after: Meters,
    pids: Sequence[int],
    gpus: Sequence[GpuReading],
    since_s: float,
) -> tuple[str, ...]:
    """One sentence for each thing that is out of the ordinary; *since_s*: seconds since boot."""
    return (
        *_pressure(),
        *swap_lines(before, after),
        *disk_lines(before, after),
        *heat_lines(_zones()),
        *kernel_lines(read_kernel(since_s)),
        *_gpu_lines(gpus, pids),
        *_engine_lines(pids),
    )


def _text(path: str) -> str:
    try:
        return read_proc(path, 1 << 20).decode("utf-8", "replace")
    except OSError:
        return ""


def _major_faults(pid: int) -> int | None:
    words = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(words[9]) if len(words) > 9 and words[9].isdigit() else None


def parse_swapped(text: str) -> tuple[int, int] | None:
    """(pages in, pages out) of /proc/vmstat."""
    found = dict(line.split(" ", 1) for line in text.splitlines() if line.startswith("pswp"))
    try:
        return int(found["pswpin"]), int(found["pswpout"])
    except (KeyError, ValueError):
        return None


def parse_disks(text: str) -> dict[str, tuple[int, int, int]]:
    """Whole disks of /proc/diskstats that have ever done anything."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 14 or not words[3].isdigit() or words[2].startswith(_NO_DISKS):
            continue
        if not Path(f"/sys/block/{words[2]}").exists():
            continue  # a partition
        ended, took = int(words[3]) + int(words[7]), int(words[6]) + int(words[10])
        found[clean_line(words[2])] = (ended, took, int(words[12]))
    return found


def swap_lines(before: Meters, after: Meters) -> Iterator[str]:
    """How much is swapped, where anything is."""
    seconds = after.at_s - before.at_s
    if before.swapped is None or after.swapped is None or seconds <= 0:
        return
    rates = [
        (new - old) * _PAGE / seconds / (1 << 20)
        for old, new in zip(before.swapped, after.swapped, strict=True)
    ]
    if max(rates) >= 0.1:
        yield f"the machine swaps: {rates[0]:.1f} MiB/s in, {rates[1]:.1f} MiB/s out"


def disk_lines(before: Meters, after: Meters) -> Iterator[str]:
    """Disks that were busy for most of the time, and how long a request took."""
    seconds = after.at_s - before.at_s
    for name in sorted(before.disks.keys() & after.disks.keys()):
        ended, took, busy = (
            new - old for old, new in zip(before.disks[name], after.disks[name], strict=True)
        )
        if seconds > 0 and busy / 1000 / seconds >= BUSY:
            each = f", {took / ended:.1f} ms a request" if ended > 0 else ", no request ended"
            yield f"disk {name} was busy {min(1.0, busy / 1000 / seconds):.0%} of the time{each}"


def _pressure() -> Iterator[str]:
    for what in ("memory", "io", "cpu"):
        for line in _text(f"/proc/pressure/{what}").splitlines():
            kind, _, rest = line.partition(" ")
            value = dict(each.split("=", 1) for each in rest.split() if "=" in each).get("avg10")
            try:
                percent = float(value or 0)
            except ValueError:
                continue
            if percent >= PRESSED and not (what == "cpu" and kind == "full"):
                who = "all tasks" if kind == "full" else "some tasks"
                yield f"{who} waited for {what} {percent:.0f} % of the last 10 s"


def _zones() -> dict[str, float]:
    """Temperatures in °C by the name of the zone."""
    found = {}
    for name in list_names("/sys/class/thermal"):
        text = _text(f"/sys/class/thermal/{name}/temp").strip()
        kind = clean_line(_text(f"/sys/class/thermal/{name}/type").strip())
        if text.lstrip("-").isdigit():
            found[f"{name} ({kind})"] = int(text) / 1000
    return found


def heat_lines(zones: dict[str, float]) -> Iterator[str]:
    """The hottest zone, where it is hot."""
    if zones and (hottest := max(zones, key=lambda each: zones[each])) and zones[hottest] >= HOT_C:
        yield f"{hottest} is at {zones[hottest]:.0f} °C"


def read_kernel(since_s: float) -> KernelReading | None:
    """What the kernel's log says since then; None where this user may not read it."""
    probe = KernelProbe()
    reading = None
    for _ in range(KMSG_LOOKS):
        reading = probe.read(since_s)
    probe.close()
    return reading


def kernel_lines(kernel: KernelReading | None) -> Iterator[str]:
    """What the kernel logged since the trainer was started."""
    if kernel is None:
        return
    if kernel.xids:
        numbers = ", ".join(map(str, dict.fromkeys(kernel.xids)))
        yield f"the kernel logged Xid {numbers} of the GPU's driver since the trainer was started"
    if kernel.gpu_lost:
        yield "the kernel says that a GPU is lost"
    if kernel.oom_kills:
        pids = ", ".join(map(str, kernel.oom_kills[-4:]))
        yield f"the kernel killed for want of memory since the trainer was started: pid {pids}"
    if kernel.no_memory_lines:
        yield f"the GPU's driver logged {kernel.no_memory_lines} times that it got no memory"


def _gpu_lines(gpus: Sequence[GpuReading], pids: Collection[int]) -> Iterator[str]:
    for gpu in gpus:
        if gpu.throttle:
            hot = f" at {gpu.temperature_c} °C" if gpu.temperature_c is not None else ""
            yield f"GPU {gpu.index} is slowed{hot}: {', '.join(gpu.throttle)}"
        for pid, held in gpu.process_bytes:
            other = end(pid) if pid not in pids else None
            if other is not None:
                much = f", {held / (1 << 30):.1f} GiB" if held else ""
                yield f"{other.name} (pid {pid}{much}) is on GPU {gpu.index} too"


def _engine_lines(pids: Sequence[int]) -> Iterator[str]:
    """Whether the engine of a container lives."""
    if (
        not pids
        or container_id(pids[0]) is None
        or "docker" not in _text(f"/proc/{pids[0]}/cgroup")
    ):
        return
    states = {}
    for name in list_names("/proc"):
        found = end(int(name)) if name.isdigit() else None
        if found is not None and found.name in _ENGINES:
            states[found.name] = found.state
    if "dockerd" not in states:
        yield "dockerd does not run: the container lives on without it, and cannot be asked about"
    elif states["dockerd"] in ("D", "T", "Z"):
        yield f"dockerd is in state {states['dockerd']}"
