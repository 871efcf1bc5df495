"""A process that clears a drill away should its director be killed.

The rule: it waits for one word on a pipe that only the director holds open, and does nothing else.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def guarded(clear: Callable[[], None]) -> Iterator[None]:
    """Call *clear* in a process of its own unless the body ends well, whatever ends it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        _wait_and_clear(reading, clear)
    os.close(reading)
    try:
        yield
        os.write(writing, b".")
    finally:
        os.close(writing)
        os.waitpid(child, 0)


def _wait_and_clear(reading: int, clear: Callable[[], None]) -> None:
    """Live in a session of its own, where no ctrl-C arrives. Never returns."""
    try:
        os.setsid()
        if not os.read(reading, 1):
            clear()
    finally:
        os._exit(0)
