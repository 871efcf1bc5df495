"""What the kernel says of every thread of a few processes: state, wait, system call, CPU time."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping

from monitor.diagnosis.values import KernelThread
from monitor.probes.process import parse_stat
from monitor.probes.raw import list_names, read_proc

THREADS_LIMIT = 512
_TICKS = os.sysconf("SC_CLK_TCK")
_X86 = (
    {0: "read", 1: "write", 7: "poll", 23: "select", 35: "nanosleep", 43: "accept"}
    | {
        42: "connect",
        45: "recvfrom",
        47: "recvmsg",
        61: "wait4",
        202: "futex",
        230: "clock_nanosleep",
    }
    | {232: "epoll_wait", 247: "waitid", 270: "pselect6", 271: "ppoll", 281: "epoll_pwait"}
)
_ARM = (
    {63: "read", 64: "write", 72: "pselect6", 73: "ppoll", 22: "epoll_pwait", 202: "accept"}
    | {203: "connect", 207: "recvfrom", 212: "recvmsg", 260: "wait4", 95: "waitid", 98: "futex"}
    | {101: "nanosleep", 115: "clock_nanosleep"}
)
_SYSCALLS: Mapping[str, Mapping[int, str]] = {"x86_64": _X86, "aarch64": _ARM}


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
                    syscall=_syscall(pid, tid),
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


def _syscall(pid: int, tid: str) -> str | None:
    """Its name; a number that is not known here says nothing."""
    word = _word(pid, tid, "syscall")
    number = word.split()[0] if word else ""
    names = _SYSCALLS.get(platform.machine(), {})
    return names.get(int(number)) if number.isdigit() else None
