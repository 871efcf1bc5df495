"""Pids and tids as a container counts them, and as this machine does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from monitor.diagnosis.values import Stack
from monitor.frozen import replace
from monitor.probes.raw import list_names, read_proc

_NSPID = re.compile(rb"^NSpid:\s*(.+)$", re.MULTILINE)


def pid_inside(pid: int, tid: int | None = None) -> int | None:
    """The innermost number of a process, or of a thread of it; None where it cannot be read."""
    path = f"/proc/{pid}/status" if tid is None else f"/proc/{pid}/task/{tid}/status"
    try:
        found = _NSPID.search(read_proc(path))
        return int(found[1].split()[-1]) if found else None
    except (OSError, ValueError):
        return None


def is_inside(pid: int) -> bool:
    """It has another pid where it lives than here."""
    return pid_inside(pid) not in (None, pid)


def threads_inside(pid: int) -> dict[int, int]:
    """This machine's tid of each of the tids that a container's process has there."""
    found = {}
    for name in list_names(f"/proc/{pid}/task"):
        inside = pid_inside(pid, int(name))
        if inside is not None:
            found[inside] = int(name)
    return found


def as_here(stacks: Iterable[Stack], pid: int, tids: Mapping[int, int]) -> tuple[Stack, ...]:
    """The same stacks in this machine's numbers.

    Whether a thread ran is not known then: py-spy asked the kernel by the number that it has there.
    """
    return tuple(
        replace(each, pid=pid, tid=tids.get(each.tid or 0), active=None) for each in stacks
    )
