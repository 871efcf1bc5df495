"""flock for "one process at a time", and the question who holds one, without touching it.

A test that took the lock for an instant could make the rightful owner fail at just that instant, so
`is_held` asks the kernel's list instead.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

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


def is_held(path: Path) -> bool:
    """True when some process holds a flock on *path*; False also where that cannot be seen."""
    try:
        inode = str(path.stat().st_ino).encode()
        lines = read_proc("/proc/locks", _LOCKS_LIMIT).splitlines()
    except OSError:
        return False
    # Only the inode: on btrfs and overlays the device differs from what stat says.
    return any(_names(line.split(), inode) for line in lines)


def _names(words: list[bytes], inode: bytes) -> bool:
    if len(words) < 6 or words[1] != b"FLOCK":
        return False
    return words[5].rpartition(b":")[2] == inode
