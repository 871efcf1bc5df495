"""Is the process that was started still the one that runs, and what does it use?

The rule: a pid alone is never trusted. Pid, boot and start ticks together name a process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from monitor.model import ProcessId, ProcessReading
from monitor.probes import Read
from monitor.probes.cgroup import CgroupProbe
from monitor.probes.clock import RATE, boot_id
from monitor.probes.raw import ReadFile, read_proc
from monitor.probes.text import clean_line

DESCENDANTS_LIMIT = 256
"""More children than a trainer has; a fork bomb must not make the watcher one too."""

_TICK_S = RATE / os.sysconf("SC_CLK_TCK")
"""By the clock of `read_now`: half a core stays half a core in a drill, where time runs faster."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_CGROUPS = CgroupProbe()
_DEAD_STATES = frozenset("ZXx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """The fields of /proc/PID/stat that are used here."""

    raw_name: bytes
    state: str
    parent: int
    cpu_ticks: int
    """User + system, of the process and of the children it has waited for."""
    threads: int
    start_ticks: int
    rss_pages: int

    @property
    def name(self) -> str:
        """What it calls itself; foreign text, cleaned."""
        return clean_line(self.raw_name)

    @property
    def alive(self) -> bool:
        """A leader that ended before its threads looks like a zombie, yet its work goes on."""
        return self.state not in _DEAD_STATES or (self.state == "Z" and self.threads > 1)


def parse_stat(raw: bytes) -> Stat | None:
    """Parse /proc/PID/stat; None for anything else. The name may hold spaces and brackets."""
    head, bracket, rest = raw.rpartition(b")")
    fields = rest.split()
    if not bracket or len(fields) < 22 or len(fields[0]) != 1:
        return None
    try:
        return Stat(
            raw_name=head.partition(b"(")[2],
            state=fields[0].decode("ascii"),
            parent=int(fields[1]),
            cpu_ticks=sum(map(int, fields[11:15])),
            threads=int(fields[17]),
            start_ticks=int(fields[19]),
            rss_pages=int(fields[21]),
        )
    except ValueError:
        return None


def identify(pid: int) -> ProcessId | None:
    """Name the process that has *pid* now; None when there is none."""
    stat = _stat(pid)
    if stat is None or not stat.alive:
        return None
    return ProcessId(pid=pid, boot_id=boot_id(), start_ticks=stat.start_ticks)


def is_alive(process: ProcessId) -> bool:
    """False for a zombie, for a pid that now belongs to another process and after a reboot."""
    return _own_stat(process) is not None


def started_s(process: ProcessId) -> float:
    """When it was started, in seconds since boot; time asleep counts."""
    return process.start_ticks * _TICK_S


def read_process(process: ProcessId, read: ReadFile = read_proc) -> Read[ProcessReading]:
    """Read what *process* and its living descendants use; *read* reads the files of /proc.

    CPU time and bytes written include children that have ended and were waited for, so the sums do
    not fall when one ends. Memory that they share is counted in each of them.
    """
    stat = _own_stat(process, read)
    if stat is None:
        return Read(ProcessReading(alive=False, pids=(process.pid,)))
    hidden: set[str] = set()
    below = _descendants(process.pid, hidden, read)
    descendants = {pid: each for pid in below if (each := _stat(pid, read))}
    family = [stat, *descendants.values()]
    living = [pid for pid, each in descendants.items() if each.alive]
    return Read(
        ProcessReading(
            alive=True,
            state=stat.state,
            cpu_s=sum(each.cpu_ticks for each in family) * _TICK_S,
            written_bytes=_written([process.pid, *living], hidden, read),
            rss_bytes=sum(each.rss_pages for each in family) * _PAGE_BYTES,
            anonymous_bytes=_anonymous([process.pid, *living], read),
            wchan=_wchan(process.pid, hidden, read),
            pids=(process.pid, *living),
            hidden=tuple(sorted(hidden)),
            zombies=tuple(each.name for each in descendants.values() if not each.alive),
            cgroup=_CGROUPS.read(process.pid, read),
        )
    )


def name_and_state(pid: int) -> tuple[str, str] | None:
    """The name and the one-letter state of whoever has *pid* now."""
    stat = _stat(pid)
    return None if stat is None else (stat.name, stat.state)


def find_by_environment(variables: Mapping[str, str]) -> list[ProcessId]:
    """Find this user's processes that were started with all of *variables*.

    Only roots are returned: a match whose parent matches too is its child. The caller is left out.
    """
    wanted = {f"{name}={value}".encode() for name, value in variables.items()}
    parents: dict[int, int] = {}
    for pid in _own_pids():
        if _environment(pid) >= wanted and (stat := _stat(pid)) and stat.alive:
            parents[pid] = stat.parent
    found = [identify(pid) for pid, parent in parents.items() if parent not in parents]
    return [each for each in found if each is not None]


def _stat(pid: int, read: ReadFile = read_proc) -> Stat | None:
    try:
        return parse_stat(read(f"/proc/{pid}/stat", 4096))
    except OSError:
        return None


def _own_stat(process: ProcessId, read: ReadFile = read_proc) -> Stat | None:
    """The state of exactly *process*, None once it has ended."""
    if process.boot_id != boot_id():
        return None
    stat = _stat(process.pid, read)
    if stat is None or stat.start_ticks != process.start_ticks or not stat.alive:
        return None
    return stat


def _descendants(pid: int, hidden: set[str], read: ReadFile) -> list[int]:
    found: list[int] = []
    queue = [pid]
    while queue and len(found) < DESCENDANTS_LIMIT:
        children = _children(queue.pop(), hidden, read)
        found += children
        queue += children
    return found


def _children(pid: int, hidden: set[str], read: ReadFile) -> list[int]:
    """Children of each thread: a process started by a thread belongs to that thread's list."""
    children: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - names only, a hot path
            children += map(int, read(f"/proc/{pid}/task/{task}/children").split())
    except PermissionError:
        hidden.add("children")
    except (OSError, ValueError):
        pass  # it, or one of its threads, has just ended
    return children


def _written(pids: list[int], hidden: set[str], read: ReadFile) -> int | None:
    """Sum over those that can be read; None when not even the first can."""
    total: int | None = None
    for pid in pids:
        try:
            written = _parse_io(read(f"/proc/{pid}/io", 1024))
        except PermissionError:
            hidden.add("io")
        except OSError:
            continue
        else:
            total = (total or 0) + written
    return total


def _anonymous(pids: list[int], read: ReadFile) -> int | None:
    """Resident pages that are no file's: RSS counts mapped weights, which are page cache."""
    total: int | None = None
    for pid in pids:
        try:
            words = read(f"/proc/{pid}/statm", 256).split()
            pages = int(words[1]) - int(words[2])
        except (OSError, ValueError, IndexError):
            continue
        total = (total or 0) + max(0, pages) * _PAGE_BYTES
    return total


def _parse_io(raw: bytes) -> int:
    values = [line.partition(b":") for line in raw.splitlines()]
    return sum(int(value) for name, _, value in values if name in (b"wchar", b"write_bytes"))


def _wchan(pid: int, hidden: set[str], read: ReadFile) -> str | None:
    try:
        name = read(f"/proc/{pid}/wchan", 128).decode("ascii", "replace").strip()
    except PermissionError:
        hidden.add("wchan")
        return None
    except OSError:
        return None
    return name if name not in ("", "0") else None


def _own_pids() -> Iterator[int]:
    uid, myself = os.geteuid(), os.getpid()
    with os.scandir("/proc") as entries:
        for entry in entries:
            if not entry.name.isdigit() or int(entry.name) == myself:
                continue
            try:
                if entry.stat().st_uid == uid:
                    yield int(entry.name)
            except OSError:
                continue


def _environment(pid: int) -> frozenset[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as stream:  # noqa: PTH123 - it may exceed one read
            return frozenset(stream.read().split(b"\0"))
    except OSError:
        return frozenset()
