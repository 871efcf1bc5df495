"""What only looks, on a thread that nobody waits for: quitting does not, though a disk may hang.

Textual's own threads are ended with the app, and a process waits for them. That is right for what
changes a run, which is done to its end; a look is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable


async def aside(look: Callable[[], object]) -> None:
    """Call *look*, which raises nothing, on a daemon thread; returns once it has ended."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    context = contextvars.copy_context()  # as a worker's own thread has it: it names the app

    def carry_out() -> None:
        with contextlib.suppress(RuntimeError):  # the app has ended meanwhile
            context.run(look)
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=carry_out, name="look", daemon=True).start()
    await ended.wait()
