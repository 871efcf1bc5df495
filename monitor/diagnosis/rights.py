"""What this user may see of another process, and how a right that is missing could be had.

The rule: the kernel is asked for the very thing that is wanted (opening /proc/PID/mem takes the
right to trace), nothing is concluded from who somebody is.
"""

from __future__ import annotations

import os
from pathlib import Path

from monitor.probes.holders import container_of
from monitor.probes.raw import read_proc

YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")
AS_ROOT = "run `lanewatch diagnose` as root"


def may_look(pid: int) -> bool:
    """This user may read the memory of *pid*: its stacks, its system calls, its descriptors."""
    try:
        os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def container_id(pid: int) -> str | None:
    """The short id of the container that *pid* is in, by its control group."""
    try:
        return container_of(read_proc(f"/proc/{pid}/cgroup"))
    except OSError:
        return None


def missing_right(pid: int, yama: Path = YAMA) -> str:
    """Why this user may not look into *pid*, and how it could be allowed."""
    way = AS_ROOT
    if container_id(pid) is not None:
        way += ", or let a short-lived container look: `lanewatch diagnose RUN --yes`"
    owner = owner_of(pid)
    if owner not in (None, os.geteuid()):
        return f"stacks: the process is uid {owner}'s; {way}, or as that user"
    if (group := _id_of(pid, "Gid:")) not in (None, os.getegid()):
        return f"stacks: the process has group {group}, this user {os.getegid()}; {way}"
    if is_shut(pid):
        return f"stacks: the process forbids ptrace (PR_SET_DUMPABLE 0); {way}"
    try:
        scope = yama.read_text(encoding="ascii").strip()
    except OSError:
        scope = "0"
    if scope != "0":
        allow = "`sudo sysctl kernel.yama.ptrace_scope=0`"
        return f"stacks: kernel.yama.ptrace_scope is {scope}; {way}, or {allow}"
    return f"stacks: the kernel refuses ptrace (CAP_SYS_PTRACE is missing); {way}"


def owner_of(pid: int) -> int | None:
    """The uid that the process runs as."""
    return _id_of(pid, "Uid:")


def _id_of(pid: int, name: str) -> int | None:
    """The effective one of a line of /proc/PID/status."""
    try:
        text = read_proc(f"/proc/{pid}/status").decode("utf-8", "replace")
        line = next(each for each in text.splitlines() if each.startswith(name))
        return int(line.split()[2])
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def is_shut(pid: int) -> bool:
    """The files below its folder in /proc, not the folder, are root's where it is not dumpable."""
    try:
        return Path(f"/proc/{pid}/stat").stat().st_uid != owner_of(pid)
    except OSError:
        return False
