"""A new file that stands under its name whole or not at all, and never in another one's place."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

NAME_BYTES = 200
"""Of the name that the half of a file begins with: what is added must fit behind it."""


@contextmanager
def new_file(path: Path) -> Iterator[TextIO]:
    """Write the text of *path* to a file beside it, `*.part`, that gets the name at the end.

    However the block is left otherwise, the half is removed. Nobody else may read it (0600).
    Raises OSError, also where *path* exists already.
    """
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    start = os.fsdecode(os.fsencode(path.name)[:NAME_BYTES])
    descriptor, name = tempfile.mkstemp(prefix=f"{start}.", suffix=".part", dir=path.parent)
    half = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        _give_name(half, path)
    finally:
        half.unlink(missing_ok=True)


def _give_name(half: Path, path: Path) -> None:
    try:
        path.hardlink_to(half)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links: the name is taken first, so that it was nobody's.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        half.replace(path)
