"""Read and write small files so that no reader ever sees half of one.

Readers here tolerate empty, partial, missing and foreign content: what cannot be read is `None`
plus one sentence that says why, never an exception and never a zero.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READ_LIMIT_BYTES = 8 * 1024 * 1024
"""More than any file of the contract can hold; a larger one is not ours and is not read."""


@dataclass(frozen=True, slots=True)
class JsonRead:
    """What a JSON file held: `value` when it was an object, else `problem` or neither (absent)."""

    value: dict[str, Any] | None = None
    problem: str | None = None


def read_json(path: Path) -> JsonRead:
    """Read a JSON object from *path*; a missing file gives neither value nor problem."""
    try:
        # Without O_NONBLOCK a FIFO that someone put in the file's place would hold us for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return JsonRead(problem=f"{path.name} is not a regular file")
            raw = _read_whole(descriptor, status.st_size)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return JsonRead()
    except OSError as error:
        return JsonRead(problem=f"{path.name} cannot be read: {error.strerror or error}")
    if not raw.strip():
        return JsonRead(problem=f"{path.name} is empty")
    if len(raw) > READ_LIMIT_BYTES:
        return JsonRead(problem=f"{path.name} is over {READ_LIMIT_BYTES >> 20} MiB")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return JsonRead(problem=f"{path.name} is not JSON")
    if not isinstance(value, dict):
        return JsonRead(problem=f"{path.name} holds no JSON object")
    return JsonRead(value=value)


def _read_whole(descriptor: int, size: int) -> bytes:
    """All of a file of about *size* bytes, up to one more than is allowed; it may grow."""
    parts: list[bytes] = []
    left = READ_LIMIT_BYTES + 1
    while left > 0 and (part := os.read(descriptor, min(left, size + 1))):
        parts.append(part)
        left -= len(part)
        if len(part) <= size:
            break  # a regular file gives less than is asked for at its end alone
    return b"".join(parts)


def write_json(path: Path, value: dict[str, Any], *, durable: bool) -> None:
    """Replace *path* by *value* in one step; with *durable*, it also survives a power cut.

    Raises OSError; the old content is then untouched.
    """
    replace_bytes(path, json.dumps(value, indent=1).encode() + b"\n", durable=durable)


def replace_bytes(path: Path, content: bytes, *, durable: bool) -> None:
    """Replace *path* by *content* through a temporary file beside it. Raises OSError."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.tmp")  # noqa: PTH118 - a hot path
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        try:
            _write_whole(descriptor, content)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)  # noqa: PTH105 - a hot path
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def _write_whole(descriptor: int, content: bytes) -> None:
    """A disk that is nearly full may take only a part at a time."""
    while content:
        content = content[os.write(descriptor, content) :]


def sync_folder(folder: Path) -> None:
    """Make renames inside *folder* survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_line(path: Path, value: dict[str, Any], *, durable: bool) -> None:
    """Append *value* as one JSON line in a single write, so that two writers never mix.

    Raises OSError.
    """
    line = json.dumps(value, separators=(",", ":")).encode() + b"\n"
    # Readable too, so that the end can be looked at; a FIFO opens at once and is refused.
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        if _ends_inside_a_line(descriptor):
            line = b"\n" + line
        os.write(descriptor, line)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _ends_inside_a_line(descriptor: int) -> bool:
    """A writer that died mid-line must not swallow the next one's line."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def read_json_lines(path: Path, *, tail_bytes: int | None = None) -> list[dict[str, Any]]:
    """Return the JSON objects of *path*, a line each; lines that are not one are left out.

    With *tail_bytes*, only what the last so many bytes hold. Raises OSError except for a missing
    file, which is an empty list.
    """
    lines = read_lines(path, tail_bytes=tail_bytes)
    return [value for line in lines if (value := _object(line)) is not None]


def read_lines(path: Path, *, tail_bytes: int | None = None) -> list[bytes]:
    """Return the lines that hold anything, as `read_json_lines` reads them."""
    try:
        # os.open, not open(): a FIFO must not hold us, and a folder is to be named by its path.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            if tail_bytes is not None:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(0, size - tail_bytes))
                if size > tail_bytes:
                    stream.readline()
            lines = stream.read().split(b"\n")
    finally:
        os.close(descriptor)
    return [line for line in lines if line.strip()]


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
