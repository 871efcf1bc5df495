"""What the kernel says of every thread of a few processes: state, wait, system call, CPU time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from monitor.diagnosis.calls import read_call
from monitor.diagnosis.values import KernelThread
from monitor.probes.process import parse_stat
from monitor.probes.raw import list_names, read_proc

THREADS_LIMIT = 512
_TICKS = os.sysconf("SC_CLK_TCK")


def read_ticks(pids: Iterable[int]) -> dict[tuple[int, int], int]:
    """CPU ticks of each (pid, tid) that can be read."""
    found = {}
    for pid in pids:
        for tid in list_names(f"/proc/{pid}/task")[:THREADS_LIMIT]:
            stat = _stat(pid, tid)
            if stat is not None:
                found[pid, int(tid)] = stat[1]
    return found


def read_threads(
    pids: Iterable[int], before: Mapping[tuple[int, int], int], seconds: float
) -> tuple[KernelThread, ...]:
    """Every thread now, with its share of a core since *before*, *seconds* ago."""
    found = []
    for pid in pids:
        for tid in list_names(f"/proc/{pid}/task")[:THREADS_LIMIT]:
            stat = _stat(pid, tid)
            if stat is None:
                continue
            used = stat[1] - before.get((pid, int(tid)), stat[1])
            found.append(
                KernelThread(
                    pid=pid,
                    tid=int(tid),
                    state=stat[0],
                    cpu_share=max(0, used) / _TICKS / max(seconds, 0.1),
                    wchan=_word(pid, tid, "wchan"),
                    syscall=call.name if (call := read_call(pid, int(tid))) else None,
                )
            )
    return tuple(found)


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
