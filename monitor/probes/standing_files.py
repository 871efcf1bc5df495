"""Files of /proc that are read every second: opened once, read from their start again and again.

The rule: a descriptor belongs to the process that it was opened for. Once that is gone reads fail,
whoever has its number now, and the next one opens anew.
"""

from __future__ import annotations

import os
from contextlib import suppress

MOST_OPEN = 128
"""A trainer has some dozen threads; what was not read for the longest time is closed first."""


class StandingFiles:
    """The open files of one thread."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}

    def read(self, path: str, limit: int = 65536) -> bytes:
        """Return up to *limit* bytes of *path*, as `raw.read_proc` does. Raises OSError."""
        descriptor = self._open.pop(path, None)
        if descriptor is None:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            content = _read_whole(descriptor, limit)
        except OSError:
            os.close(descriptor)
            raise
        self._open[path] = descriptor
        while len(self._open) > MOST_OPEN:
            os.close(self._open.pop(next(iter(self._open))))
        return content

    def close(self) -> None:
        """Close them all."""
        while self._open:
            with suppress(OSError):
                os.close(self._open.popitem()[1])


def _read_whole(descriptor: int, limit: int) -> bytes:
    content = os.pread(descriptor, limit, 0)
    while 0 < len(content) < limit:
        part = os.pread(descriptor, limit - len(content), len(content))
        if not part:
            break
        content += part
    return content
