"""Waiting for an app to have nothing left to do, by its queues.

Textual's own way is to sleep 20 ms at a time until the process uses little CPU: two sleeps a key
and one a pause, thousands in a table of keys, and never long enough on a starved machine.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from textual.pilot import Pilot

CALM = 2
"""Looks in a row that find nothing to do."""
LONGEST_S = 10.0
"""An app that never comes to rest is for the test to judge."""


async def idle(pilot: Pilot[Any]) -> None:
    """Let the app work off its messages, layouts, repaints and what is to follow them."""
    calm, deadline = 0, time.monotonic() + LONGEST_S
    while calm < CALM and pilot.app.is_running and time.monotonic() < deadline:
        await pilot._wait_for_screen()
        await asyncio.sleep(0)
        pilot.app.screen._on_timer_update()
        calm = 0 if _busy(pilot) else calm + 1


def _busy(pilot: Pilot[Any]) -> bool:
    screen = pilot.app.screen
    drawing = (
        pilot.app._resize_event
        or screen._layout_required
        or screen._repaint_required
        or screen._recompose_required
        or screen._dirty_widgets
        or screen._callbacks
    )
    pumps = (pilot.app, *pilot.app._registry)
    return bool(drawing) or any(each.message_queue_size or each._next_callbacks for each in pumps)


async def _at_once(*_: float) -> None:
    await asyncio.sleep(0)


def by_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every pilot wait so after a key, a click and in a pause without a length."""
    press, pause = Pilot.press, Pilot.pause

    async def pressed(pilot: Pilot[Any], *keys: str) -> None:
        for key in keys:
            await press(pilot, key)
            await idle(pilot)

    async def paused(pilot: Pilot[Any], delay: float | None = None) -> None:
        await (idle(pilot) if delay is None else pause(pilot, delay))

    monkeypatch.setattr(Pilot, "press", pressed)
    monkeypatch.setattr(Pilot, "pause", paused)
    monkeypatch.setattr("textual.app.wait_for_idle", _at_once)
