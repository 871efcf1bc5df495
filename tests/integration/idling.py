"""Waiting for an app to have nothing left to do, by its queues.

Textual's own way is to sleep 20 ms at a time until the process uses little CPU: two sleeps a key
and one a pause, thousands in a table of keys, and never long enough on a starved machine.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from textual.message_pump import MessagePump
from textual.pilot import Pilot
from textual.screen import Screen

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
        screen = pilot.app.screen
        if any(_at_work(each) for each in (pilot.app, *pilot.app._registry)):
            calm = 0
        elif _is_to_draw(screen):
            # Its timer would do so within 16 ms; no earlier, for what comes is laid out once.
            screen._on_timer_update()
            calm = 0
        else:
            calm += 1


def _at_work(pump: MessagePump) -> bool:
    """It has messages, or is about to come or to go."""
    moving = not pump._mounted_event.is_set() or pump._closing is not pump._closed
    return bool(pump.message_queue_size or pump._next_callbacks or moving)


def _is_to_draw(screen: Screen[Any]) -> bool:
    return bool(
        screen.app._resize_event
        or screen._layout_required
        or screen._scroll_required
        or screen._repaint_required
        or screen._recompose_required
        or screen._dirty_widgets
        or screen._callbacks
    )


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
