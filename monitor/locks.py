"""flock for "one process at a time", and the question who holds one, without touching it.

A test that took the lock for an instant could make the rightful owner fail at just that instant, so
`is_held` asks the kernel's list instead.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from monitor.probes.filesystem import mounted_device
from monitor.probes.raw import read_proc

_LOCKS_LIMIT = 1 << 20


def take(path: Path) -> int | None:
    """Take the lock of *path* and return the descriptor that holds it; None when another has it.

    Raises OSError when the file cannot be made, for example in a read-only folder.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def is_held(path: Path) -> bool | None:
    """True when some process holds a flock on *path*; None where that cannot be seen."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        lines = read_proc("/proc/locks", _LOCKS_LIMIT).splitlines()
    except OSError:
        return None
    devices = _devices_locked(lines, status.st_ino)
    if (os.major(status.st_dev), os.minor(status.st_dev)) in devices:
        return True
    # Small inode numbers recur in every file system, so the device has to agree as well.
    return bool(devices) and mounted_device(path) in devices


def _devices_locked(lines: list[bytes], inode: int) -> set[tuple[int, int]]:
    """The file systems, as (major, minor), in which the file of number *inode* is locked."""
    found = set()
    for words in map(bytes.split, lines):
        where = words[5].split(b":") if len(words) > 5 and words[1] == b"FLOCK" else []
        if len(where) == 3 and int(where[2]) == inode:
            found.add((int(where[0], 16), int(where[1], 16)))
    return found
