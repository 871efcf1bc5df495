"""Read small files whole and without ever waiting for a writer.

A FIFO or a device in the place of a file must not hang the caller, so nothing blocks here.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Protocol


class ReadFile(Protocol):
    """Reads a file of /proc or /sys: `read_proc`, or one who keeps it open."""

    def __call__(self, path: str, limit: int = ...) -> bytes: ...


def read_proc(path: str, limit: int = 65536) -> bytes:
    """Return up to *limit* bytes of a file of /proc or /sys. Raises OSError."""
    parts: list[bytes] = []
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # A table such as /proc/locks comes a page at a time, however much is asked for.
        while limit > 0 and (part := os.read(descriptor, limit)):
            parts.append(part)
            limit -= len(part)
    finally:
        os.close(descriptor)
    return b"".join(parts)


def list_names(folder: str) -> list[str]:
    """The names in a folder of /proc; none where it is gone or hidden."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - names only, a hot path
    except OSError:
        return []


def open_regular(path: Path) -> int:
    """Return a read-only descriptor of *path*. Raises OSError, also when it is no regular file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "it is not a regular file", str(path))
    return descriptor


def reason(error: OSError) -> str:
    """The short text of *error*, without the path (the caller names it)."""
    return error.strerror or str(error) or type(error).__name__
