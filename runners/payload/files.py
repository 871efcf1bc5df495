"""Write the small files of a run folder. The rule: a reader never sees half of one.

Nothing here swallows an error; `contract` decides which of them matter.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import json
import os
import shutil
from pathlib import Path
from typing import Any

FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors that say "no room", whether of the disk or of a quota."""


_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""From linux/fcntl.h and linux/fs.h."""


def encode(value: dict[str, Any]) -> bytes:
    """Return *value* as one line of strict JSON; a bare NaN raises ValueError."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def read_object(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in *path*, or None when there is no such readable object."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def replace(path: Path, content: bytes, *, durable: bool) -> None:
    """Replace *path* by *content* in one step; with *durable* it also survives a power cut.

    Raises OSError and leaves the old content.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_all(descriptor, content)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if durable or not exchange(temporary, path):
            temporary.replace(path)
        else:
            # Swapped, not renamed: a plain rename over a file makes ext4 flush it first, which on
            # a busy disk was measured to cost a training 50 ms each time.
            temporary.unlink()
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)


def exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where this system cannot, or one of them is missing."""
    call = getattr(_libc(), "renameat2", None)
    if call is None:
        return False
    paths = (os.fsencode(one), os.fsencode(other))
    return bool(call(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def overwrite(path: Path, content: bytes) -> None:
    """Write *content* over the bytes of *path* in a single write, padded with blanks to its size.

    For a full disk only: blocks that are already there need no room. Raises OSError.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        os.pwrite(descriptor, content.rstrip(b"\n").ljust(size - 1) + b"\n", 0)
    finally:
        os.close(descriptor)


def reserve(path: Path, size: int) -> None:
    """Set *size* bytes of the disk aside in *path*, to be freed by deleting it. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(descriptor, bytes(size))
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes) -> None:
    """Write every byte of *content*; a short write means a full disk and raises OSError."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def sync(path: Path) -> None:
    """Force a file's bytes, or the names inside a folder, to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(path: Path) -> None:
    """Force all of the file system that *path* is on to the disk: one wait for many small files.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc().syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "the file system could not be synced", str(path))
    finally:
        os.close(descriptor)


def remove_tree(folder: Path) -> None:
    """Delete *folder* as far as that is possible; what is left over is only lost room."""
    shutil.rmtree(folder, ignore_errors=True)


class LineLog:
    """Appends JSON lines to one file, each in a single write, so that two writers never mix."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._torn: bool | None = None

    def append(self, value: dict[str, Any]) -> None:
        """Append *value* as a line. Raises OSError; a half-written line never spoils the next."""
        line = encode(value)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            torn = self._torn if self._torn is not None else _ends_inside_a_line(descriptor)
            self._torn = True
            line = b"\n" + line if torn else line
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            self._torn = False
        finally:
            os.close(descriptor)


def _ends_inside_a_line(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
