"""The machine's processes as /proc shows them at one instant: who they are, what they have open.

The rule: what this user may not read is counted and named, never taken for "there is nothing".
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.probes.process import parse_stat
from monitor.probes.raw import read_proc
from runners.attach.values import Descriptor, Process

CMDLINE_BYTES = 1 << 17
_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_ACCESS_MODE = 0o3
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class ProcessTable:
    """All processes at one instant; what they have open is read when it is asked for."""

    processes: Mapping[int, Process] = field(default_factory=dict)
    _open: dict[int, tuple[Descriptor, ...] | None] = field(default_factory=dict)
    _children: dict[int, list[int]] = field(default_factory=dict)

    def get(self, pid: int) -> Process | None:
        """The process with *pid*, if it was there."""
        return self.processes.get(pid)

    def children(self, pid: int) -> list[int]:
        """The direct children, by pid."""
        if not self._children:
            for each in self.processes.values():
                self._children.setdefault(each.parent, []).append(each.pid)
        return sorted(self._children.get(pid, ()))

    def family(self, pid: int) -> list[Process]:
        """The process and all of its descendants."""
        found: list[Process] = []
        queue = [pid]
        while queue:
            each = queue.pop()
            if each in self.processes and len(found) <= len(self.processes):
                found.append(self.processes[each])
                queue += self.children(each)
        return found

    def ancestors(self, pid: int) -> list[Process]:
        """Its parent, the parent of that, and so on."""
        found: list[Process] = []
        process = self.get(pid)
        while process is not None and (parent := self.get(process.parent)) not in (None, *found):
            assert parent is not None
            found.append(parent)
            process = parent
        return found

    def open_files(self, pid: int) -> tuple[Descriptor, ...] | None:
        """What *pid* has open; None where this user may not see it."""
        if pid not in self._open:
            self._open[pid] = read_descriptors(pid)
        return self._open[pid]

    def readers(self, inode: int) -> list[Process]:
        """Those that can read from the pipe *inode*, as far as this user may see."""
        return [
            process
            for process in self.processes.values()
            if any(
                each.pipe == inode and not is_written(process.pid, each)
                for each in self.open_files(process.pid) or ()
            )
        ]


def read_process_table() -> ProcessTable:
    """Read /proc once. Processes that end meanwhile are left out."""
    own = _container_ids(read_file("/proc/self/cgroup"))
    found: dict[int, Process] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - names only
        process = _read_process(int(name), own) if name.isdigit() else None
        if process is not None:
            found[process.pid] = process
    return ProcessTable(found)


def read_descriptors(pid: int) -> tuple[Descriptor, ...] | None:
    """Read /proc/PID/fd; None where this user may not."""
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names only
    except PermissionError:
        return None
    except OSError:
        return ()
    found: list[Descriptor] = []
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")  # noqa: PTH115 - may be no path at all
        except OSError:
            continue
        found.append(Descriptor(int(name), target))
    return tuple(sorted(found, key=lambda each: each.number))


def is_written(pid: int, descriptor: Descriptor) -> bool:
    """True where it is open for writing."""
    text = read_file(f"/proc/{pid}/fdinfo/{descriptor.number}", 4096)
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "flags":
            return int(value, 8) & _ACCESS_MODE != os.O_RDONLY
    return False


def read_cwd(pid: int) -> str | None:
    """The working folder as the process sees it; None where this user may not know."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115 - a path of its own namespace
    except OSError:
        return None


def read_environment(pid: int) -> Mapping[str, str]:
    """The environment it was started with; empty where this user may not know."""
    text = read_file(f"/proc/{pid}/environ")
    pairs = (each.partition("=") for each in text.split("\0") if "=" in each)
    return {name: value for name, _, value in pairs}


def read_file(path: str, limit: int = CMDLINE_BYTES) -> str:
    """A file of /proc as text; empty where there is none or this user may not read it."""
    try:
        return read_proc(path, limit).decode(errors="surrogateescape")
    except OSError:
        return ""


def started_wall(start_ticks: int) -> float | None:
    """Seconds since the epoch at which a process with *start_ticks* began, for display."""
    for line in read_file("/proc/stat", 1 << 20).splitlines():
        name, _, value = line.partition(" ")
        if name == "btime" and value.strip().isdigit():
            return int(value) + start_ticks / TICKS_PER_S
    return None


def _read_process(pid: int, own: tuple[str, ...]) -> Process | None:
    try:
        stat = parse_stat(read_proc(f"/proc/{pid}/stat", 4096))
        uid = os.stat(f"/proc/{pid}").st_uid  # noqa: PTH116 - hundreds of them
    except OSError:
        return None
    argv = tuple(read_file(f"/proc/{pid}/cmdline").rstrip("\0").split("\0"))
    if stat is None or not stat.alive or not argv[0]:
        return None
    ids = [each for each in _container_ids(read_file(f"/proc/{pid}/cgroup")) if each not in own]
    return Process(
        pid=pid,
        parent=stat.parent,
        argv=argv,
        start_ticks=stat.start_ticks,
        cpu_s=stat.cpu_ticks / TICKS_PER_S,
        rss_bytes=stat.rss_pages * _PAGE_BYTES,
        uid=uid,
        container=ids[-1] if ids else None,
    )


def _container_ids(cgroups: str) -> tuple[str, ...]:
    """Every container id in a /proc/PID/cgroup, the innermost last."""
    return tuple(_CONTAINER_ID.findall(cgroups))
