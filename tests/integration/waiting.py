"""Waiting for what an app shows once a thread or a process of it has answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot

PATIENCE_S = 60.0
"""A starved machine may take that long; a healthy one some milliseconds."""


async def settled(pilot: Pilot[None], true: Callable[[], Any]) -> None:
    """Let the app run until *true* returns something true."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it never came to this"
        await asyncio.sleep(0.01)
        await pilot.pause()
    await pilot.pause()
