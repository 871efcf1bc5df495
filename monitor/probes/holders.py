"""Which processes hold the machine's memory: for a launch that is refused, and a climb of others.

The rule: it is asked now and then, when a person needs names. What this user may not read is left
out.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Container, Iterator, Mapping

from monitor.memory_return import Holder
from monitor.probes.gpu import GpuSampler
from monitor.probes.process import parse_stat
from monitor.probes.raw import read_proc
from monitor.probes.text import clean_line

SHOWN = 5
GPU_WAIT_S = 5.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_CONTAINER = re.compile(rb"[/-](?:docker|libpod|cri-containerd)?[-/]?([0-9a-f]{64})")


def read_holders(shown: int = SHOWN) -> tuple[Holder, ...]:
    """The *shown* processes that hold most, by resident memory and memory on the GPU together."""
    on_gpu = _gpu_bytes()
    found = [_holder(pid, on_gpu.get(pid, 0)) for pid in _pids()]
    known = [each for each in found if each is not None and each.held_bytes > 0]
    return tuple(sorted(known, key=lambda each: each.held_bytes, reverse=True)[:shown])


def largest_beside(own: Container[int], on_gpu: Mapping[int, int]) -> Holder | None:
    """Who holds most beside the processes *own*; *on_gpu*: memory on the GPUs by pid."""
    found = [_holder(pid, on_gpu.get(pid, 0)) for pid in _pids() if pid not in own]
    known = [each for each in found if each is not None]
    return max(known, key=lambda each: each.held_bytes, default=None)


def container_of(cgroup: bytes) -> str | None:
    """The short id of the container that /proc/PID/cgroup names."""
    found = _CONTAINER.search(cgroup)
    return found.group(1)[:12].decode("ascii") if found else None


def _holder(pid: int, gpu_bytes: int) -> Holder | None:
    try:
        raw = read_proc(f"/proc/{pid}/stat", 4096)
        cgroup = read_proc(f"/proc/{pid}/cgroup")
    except OSError:
        return None
    stat = parse_stat(raw)
    if stat is None:
        return None
    name = raw[raw.find(b"(") + 1 : raw.rfind(b")")].decode("utf-8", "replace")
    return Holder(
        pid=pid,
        name=clean_line(name),
        rss_bytes=stat.rss_pages * _PAGE_BYTES,
        gpu_bytes=gpu_bytes,
        container=container_of(cgroup),
    )


def _pids() -> Iterator[int]:
    with os.scandir("/proc") as entries:
        yield from (int(entry.name) for entry in entries if entry.name.isdigit())


def _gpu_bytes() -> dict[int, int]:
    """By pid; nothing where there is no driver, or it does not answer."""
    sampler = GpuSampler()
    sampler.start()
    deadline = time.monotonic() + GPU_WAIT_S
    while sampler.running and not sampler.latest() and time.monotonic() < deadline:
        time.sleep(0.05)
    held: dict[int, int] = {}
    for gpu in sampler.latest():
        for pid, used in gpu.process_bytes:
            held[pid] = held.get(pid, 0) + (used or 0)
    sampler.stop(0.1)
    return held
