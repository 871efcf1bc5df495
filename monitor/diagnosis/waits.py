"""What the threads of a run wait for: the thing behind each system call, and who is at its end.

The rule: it is read once, after the samples; what this user may not see is left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from monitor.diagnosis.bounds import WAITS_END_S, Bounds
from monitor.diagnosis.calls import Call, polled, read_call, read_path
from monitor.diagnosis.ends_of import (
    by_pid,
    connection_of,
    holders_of,
    link_of,
    other_ends,
    working_folder,
)
from monitor.diagnosis.file_systems import asked, file_system_of
from monitor.diagnosis.places import End, FileSystem, Wait, WaitKind
from monitor.frozen import replace
from monitor.probes.text import clean_line

THREADS = 48
ASKED_S = 4.0
_BY_DESCRIPTOR = frozenset(
    {"read", "write", "pread64", "pwrite64", "readv", "writev", "ioctl", "fcntl", "flock"}
    | {"fsync", "fdatasync", "ftruncate", "getdents64", "connect", "accept", "accept4"}
    | {"sendto", "sendmsg", "recvfrom", "recvmsg"}
)
_BY_PATH = {"openat": 1, "newfstatat": 1, "statx": 1, "mkdirat": 1, "unlinkat": 1}
_BY_PATH |= {"open": 0, "stat": 0}
"""Which argument is the path."""
_WRITES = frozenset({"write", "pwrite64", "writev", "sendto", "sendmsg"})
_CHILD = frozenset({"wait4", "waitid"})


@dataclass(frozen=True, slots=True)
class _Seen:
    """A thread, its call, and one thing that it waits for."""

    pid: int
    tid: int
    call: Call
    link: str


def read_waits(
    threads: Iterable[tuple[int, int]], bounds: Bounds | None = None
) -> tuple[Wait, ...]:
    """What each (pid, tid) waits for; a thread may wait for several descriptors at once.

    Who is at the other ends, and the file systems, are asked for within *bounds*.
    """
    bounds = bounds or Bounds()
    seen: list[_Seen] = []
    waits: list[Wait] = []
    for pid, tid in list(threads)[:THREADS]:
        call = read_call(pid, tid)
        if call is None:
            continue
        plain = _plain(pid, tid, call)
        if plain is not None:
            waits.append(plain)
        seen += [_Seen(pid, tid, call, link) for link in _links(pid, call)]
    peers = {
        each.link: connection_of(each.pid, each.link)
        for each in seen
        if each.link.startswith("socket:")
    }
    wanted = {each.link for each in seen if each.link.startswith("pipe:")}
    wanted |= {peer for _, peer in peers.values() if peer}
    holders, whole = holders_of(wanted, bounds)
    for each in seen:
        if each.link.startswith("pipe:"):
            writes = each.call.name in _WRITES
            ends = other_ends(holders[each.link], each.pid, writes=writes)
            # Who is not root sees only his own processes: that nobody is seen then says nothing.
            known = ends if ends or (whole and os.geteuid() == 0) else None
            waits.append(_wait(each, WaitKind.PIPE, each.link, known))
        elif each.link.startswith("socket:"):
            words, peer = peers[each.link]
            waits.append(_wait(each, WaitKind.SOCKET, words, by_pid(holders, peer) or None))
        elif each.link.startswith("/"):
            kind = WaitKind.DEVICE if each.link.startswith("/dev/") else WaitKind.FILE
            waits.append(_wait(each, kind, each.link, None))
    return _with_file_systems(waits, bounds)


def _links(pid: int, call: Call) -> list[str]:
    if call.name in _BY_DESCRIPTOR:
        numbers: tuple[int, ...] = call.arguments[:1]
    else:
        numbers = polled(pid, call)
    found = [link for each in numbers if (link := link_of(pid, each)) is not None]
    return list(dict.fromkeys(found))


def _plain(pid: int, tid: int, call: Call) -> Wait | None:
    """A wait that is for no descriptor."""
    if call.name == "futex":
        what = f"{call.arguments[0]:#x}"
        return Wait(pid=pid, tid=tid, kind=WaitKind.LOCK, call=call.name, what=what)
    if call.name in _CHILD:
        number = call.arguments[0 if call.name == "wait4" else 1]
        any_child = number in (0, 2**32 - 1, 2**64 - 1)
        what = "any child" if any_child else f"pid {number}"
        return Wait(pid=pid, tid=tid, kind=WaitKind.CHILD, call=call.name, what=what)
    if call.name in _BY_PATH and (path := read_path(pid, call.arguments[_BY_PATH[call.name]])):
        return Wait(
            pid=pid, tid=tid, kind=WaitKind.FILE, call=call.name, what=_whole(pid, call, path)
        )
    return None


def _whole(pid: int, call: Call, path: str) -> str:
    """A relative path begins at a descriptor or where the process is."""
    if path.startswith("/"):
        return clean_line(path)
    at = call.arguments[0] & 0xFFFFFFFF
    base = None
    if _BY_PATH[call.name] == 1 and at < 2**31:
        base = link_of(pid, at)
    base = base or working_folder(pid)
    return clean_line(f"{base}/{path}" if base else path)


def _wait(seen: _Seen, kind: WaitKind, what: str, ends: tuple[End, ...] | None) -> Wait:
    return Wait(
        pid=seen.pid,
        tid=seen.tid,
        kind=kind,
        call=seen.call.name,
        what=clean_line(what),
        ends=ends,
    )


def _with_file_systems(waits: list[Wait], bounds: Bounds) -> tuple[Wait, ...]:
    """Ask each file system once that somebody waits for."""
    known: dict[str, FileSystem] = {}
    found = []
    for each in waits:
        place = file_system_of(each.pid, each.what) if each.kind is WaitKind.FILE else None
        if place is not None and place.point not in known and len(known) < 2:
            known[place.point] = asked(place, each.pid, bounds.left(WAITS_END_S, ASKED_S))
        here = known.get(place.point) if place is not None else None
        found.append(each if here is None else replace(each, file_system=here))
    return tuple(found)
