"""What the kernel says of every thread of a few processes: state, wait, system call, CPU time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from monitor.diagnosis.bounds import THREADS_END_S, Bounds
from monitor.diagnosis.calls import read_call
from monitor.diagnosis.values import KernelThread
from monitor.probes.process import parse_stat
from monitor.probes.raw import list_names, read_proc

THREADS_LIMIT = 512
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Count:
    """What the kernel has counted of one thread so far."""

    ticks: int
    """Of CPU time."""
    waited_ns: int | None = None
    """For a core, in the queue of those that may run."""
    turns: tuple[int, int] | None = None
    """Nanoseconds on a core, and how often it was put on one."""


def read_counts(pids: Iterable[int]) -> dict[tuple[int, int], Count]:
    """The counts of each (pid, tid) that can be read."""
    found = {}
    for pid in pids:
        for tid in list_names(f"/proc/{pid}/task")[:THREADS_LIMIT]:
            stat = _stat(pid, tid)
            if stat is not None:
                found[pid, int(tid)] = _count(pid, tid, stat[1])
    return found


def read_threads(
    pids: Iterable[int],
    before: Mapping[tuple[int, int], Count],
    after: Mapping[tuple[int, int], Count],
    seconds: float,
    bounds: Bounds | None = None,
) -> tuple[KernelThread, ...]:
    """Every thread now, with its share of a core between *before* and *after*, *seconds* later.

    Of many threads on a busy machine only those that there is time for within *bounds*.
    """
    found: list[KernelThread] = []
    for pid in pids:
        # By number the main thread is the first.
        for tid in sorted(map(int, list_names(f"/proc/{pid}/task")))[:THREADS_LIMIT]:
            if bounds is not None and bounds.over(THREADS_END_S):
                return tuple(found)
            counts = before.get((pid, tid)), after.get((pid, tid))
            thread = _thread(pid, tid, *counts, max(seconds, 0.1))
            if thread is not None:
                found.append(thread)
    return tuple(found)


def _thread(
    pid: int, tid: int, before: Count | None, after: Count | None, seconds: float
) -> KernelThread | None:
    stat = _stat(pid, str(tid))
    if stat is None:
        return None
    used, ran, waited = 0, None, None
    if before is not None and after is not None:
        used = max(0, after.ticks - before.ticks)
        if before.turns is not None and after.turns is not None:
            ran = after.turns != before.turns or stat[0] == "R"
        if before.waited_ns is not None and after.waited_ns is not None:
            waited = max(0, after.waited_ns - before.waited_ns) / 1e9 / seconds
    return KernelThread(
        pid=pid,
        tid=tid,
        state=stat[0],
        cpu_share=used / _TICKS / seconds,
        wchan=_word(pid, str(tid), "wchan"),
        syscall=call.name if (call := read_call(pid, tid)) else None,
        ran=ran,
        waited_share=waited,
    )


def _count(pid: int, tid: str, ticks: int) -> Count:
    """A kernel built without these statistics has no such file."""
    try:
        words = read_proc(f"/proc/{pid}/task/{tid}/schedstat", 256).split()
        on_ns, waited_ns, times = (int(each) for each in words[:3])
    except (OSError, ValueError):
        return Count(ticks)
    return Count(ticks, waited_ns, (on_ns, times))


def _stat(pid: int, tid: str) -> tuple[str, int] | None:
    try:
        stat = parse_stat(read_proc(f"/proc/{pid}/task/{tid}/stat", 4096))
    except OSError:
        return None
    return (stat.state, stat.cpu_ticks) if stat is not None else None


def _word(pid: int, tid: str, name: str) -> str | None:
    try:
        raw = read_proc(f"/proc/{pid}/task/{tid}/{name}", 256)
    except OSError:
        return None
    text = raw.decode("ascii", "replace").strip()
    return text if text not in ("", "0") else None
