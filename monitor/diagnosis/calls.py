"""The system call that a thread is in: its name, its arguments, what these point at.

The rule: memory of the thread's process is read as py-spy reads it, without pausing anything; what
has changed meanwhile, or may not be read, is not known.
"""

from __future__ import annotations

import os
import platform
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from monitor.probes.raw import read_proc

_X86 = (
    {0: "read", 1: "write", 2: "open", 4: "stat", 7: "poll", 16: "ioctl", 17: "pread64"}
    | {18: "pwrite64", 19: "readv", 20: "writev", 23: "select", 35: "nanosleep", 42: "connect"}
    | {43: "accept", 44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg", 61: "wait4"}
    | {72: "fcntl", 73: "flock", 74: "fsync", 75: "fdatasync", 77: "ftruncate", 202: "futex"}
    | {217: "getdents64", 230: "clock_nanosleep", 232: "epoll_wait", 247: "waitid", 257: "openat"}
    | {258: "mkdirat", 262: "newfstatat", 263: "unlinkat", 270: "pselect6", 271: "ppoll"}
    | {281: "epoll_pwait", 288: "accept4", 332: "statx"}
)
_ARM = (
    {22: "epoll_pwait", 25: "fcntl", 29: "ioctl", 32: "flock", 34: "mkdirat", 35: "unlinkat"}
    | {46: "ftruncate", 56: "openat", 61: "getdents64", 63: "read", 64: "write", 65: "readv"}
    | {66: "writev", 67: "pread64", 68: "pwrite64", 72: "pselect6", 73: "ppoll", 79: "newfstatat"}
    | {82: "fsync", 83: "fdatasync", 95: "waitid", 98: "futex", 101: "nanosleep", 202: "accept"}
    | {115: "clock_nanosleep", 203: "connect", 206: "sendto", 207: "recvfrom", 211: "sendmsg"}
    | {212: "recvmsg", 242: "accept4", 260: "wait4", 291: "statx"}
)
NAMES: Mapping[str, Mapping[int, str]] = {"x86_64": _X86, "aarch64": _ARM}
PATH_BYTES = 4096
POLLED = 64
"""Of the descriptors that a call waits for, the first so many."""


@dataclass(frozen=True, slots=True)
class Call:
    """A system call in progress."""

    name: str
    arguments: tuple[int, ...]


def read_call(pid: int, tid: int) -> Call | None:
    """What *tid* is in; None while it runs, for a call not known here, and where it is hidden."""
    try:
        words = read_proc(f"/proc/{pid}/task/{tid}/syscall", 256).split()
        numbers = [int(word, 0) for word in words]
    except (OSError, ValueError):
        return None
    name = NAMES.get(platform.machine(), {}).get(numbers[0]) if numbers else None
    return Call(name, tuple(numbers[1:7])) if name else None


def read_memory(pid: int, address: int, size: int) -> bytes:
    """Bytes of the process's memory; empty where they cannot be read."""
    try:
        descriptor = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(descriptor, size, address)
    except (OSError, OverflowError, ValueError):
        return b""
    finally:
        os.close(descriptor)


def read_path(pid: int, address: int) -> str | None:
    """The zero-terminated path at *address*, which may lie just before the end of a mapping."""
    raw = b""
    while b"\0" not in raw and len(raw) < PATH_BYTES:
        # Page by page: the page after may not be there.
        at = address + len(raw)
        more = read_memory(pid, at, 4096 - at % 4096)
        if not more:
            return None
        raw += more
    return raw.partition(b"\0")[0].decode("utf-8", "replace") or None


def polled(pid: int, call: Call) -> tuple[int, ...]:
    """The descriptors that a poll, a select or an epoll waits for."""
    first, second, third = (*call.arguments, 0, 0, 0)[:3]
    if call.name in ("poll", "ppoll"):
        raw = read_memory(pid, first, 8 * min(second, POLLED))
        return tuple(fd for fd, _, _ in struct.iter_unpack("ihh", raw[: len(raw) // 8 * 8]))
    if call.name in ("select", "pselect6"):
        size = (min(first, 1024) + 63) // 64 * 8
        sets = [read_memory(pid, each, size) for each in (second, third) if each]
        return tuple(dict.fromkeys(bit for each in sets for bit in _bits(each)))[:POLLED]
    if call.name in ("epoll_wait", "epoll_pwait"):
        return _of_epoll(pid, first)
    return ()


def _bits(raw: bytes) -> list[int]:
    return [8 * n + bit for n, byte in enumerate(raw) for bit in range(8) if byte >> bit & 1]


def _of_epoll(pid: int, descriptor: int) -> tuple[int, ...]:
    try:
        lines = read_proc(f"/proc/{pid}/fdinfo/{descriptor}").splitlines()
    except OSError:
        return ()
    return tuple(int(each.split()[1]) for each in lines if each.startswith(b"tfd:"))[:POLLED]
