"""What drills ask of the kernel: a tiny disk, clocks of their own, a small control group.

The rule: nothing outside the drill is touched. A mount lives in a namespace of the drill's own
processes, a clock in one of the trainer's; both vanish with them. Every function raises OSError
where this user may not.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path

CLONE_NEWTIME = 0x80
CLONE_NEWNS = 0x20000
CLONE_NEWUSER = 0x10000000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 2
"""From linux/sched.h, linux/mount.h and linux/fs.h."""

_CGROUPS = Path("/sys/fs/cgroup")


def mount_tiny_disk(folder: Path, size_bytes: int) -> None:
    """Put an empty disk of *size_bytes* on *folder*, to be seen by us and our children alone."""
    _unshare(CLONE_NEWNS)
    _mount(None, "/", None, MS_REC | MS_PRIVATE, None)
    options = f"size={size_bytes},mode=0700"
    _mount("lanewatch-drill", str(folder), "tmpfs", 0, options)


def unmount(folder: Path) -> None:
    """Take the disk on *folder* away, at the latest when its last process has ended."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(str(folder).encode(), MNT_DETACH) != 0:
        _raise(f"umount {folder}")


def offset_clock_of_children(offset_s: int) -> None:
    """Give children forked from now on clocks that are *offset_s* away from the machine's."""
    earliest = -int(time.clock_gettime(time.CLOCK_MONOTONIC) / 2)
    offset = max(offset_s, earliest)
    _unshare(CLONE_NEWTIME)
    Path("/proc/self/timens_offsets").write_text(f"monotonic {offset} 0\nboottime {offset} 0\n")


def may_mount() -> bool:
    """Whether `mount_tiny_disk` would work, tried in a child."""
    return _works(lambda: mount_tiny_disk(Path("/"), 1 << 20))


def may_offset_clocks() -> bool:
    """Whether `offset_clock_of_children` would work, tried in a child."""
    return _works(lambda: offset_clock_of_children(60))


def enter_memory_group(limit_bytes: int) -> Path:
    """Move this process into a new control group that may use *limit_bytes* of memory."""
    problem: OSError | None = None
    for parent, limit in (
        (_CGROUPS / "memory", "memory.limit_in_bytes"),
        (_CGROUPS, "memory.max"),
    ):
        group = parent / f"lanewatch-drill-{os.getpid()}"
        try:
            group.mkdir()
        except OSError as error:
            problem = error
            continue
        try:
            (group / limit).write_text(str(limit_bytes))
            with contextlib.suppress(OSError):
                (group / "memory.swap.max").write_text("0")
            (group / "cgroup.procs").write_text(str(os.getpid()))
        except OSError as error:
            problem = error
            group.rmdir()
        else:
            return group
    raise problem or OSError("no control groups here")


def _unshare(flags: int) -> None:
    """Leave the namespaces that *flags* name; without privileges, by way of a user namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) == 0:
        return
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(flags | CLONE_NEWUSER) != 0:
        _raise("unshare")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def _mount(
    source: str | None, target: str, kind: str | None, flags: int, options: str | None
) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [None if word is None else word.encode() for word in (source, target, kind, options)]
    if libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]) != 0:
        _raise(f"mount {target}")


def _raise(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), what)


def _works(action: Callable[[], None]) -> bool:
    child = os.fork()
    if child == 0:
        try:
            action()
        except BaseException:  # noqa: BLE001 - whatever it was, it does not work
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return status == 0
