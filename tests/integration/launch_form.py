"""The launch form of a test: opened, waited for, its picker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shown import show
from textual.pilot import Pilot

from tui.app import LanewatchApp
from tui.launching.form import Field
from tui.launching.values import Looked
from tui.screens.launch import LaunchScreen
from tui.screens.pick import PickScreen

DOWN_TO = {field: ["j"] * at for at, field in enumerate(Field)}


async def opened(pilot: Pilot[None], snapshot: Any) -> LaunchScreen:
    """Open the form and wait until it has been looked at."""
    await show(pilot, snapshot)
    await pilot.press("n")
    screen = pilot.app.screen
    assert isinstance(screen, LaunchScreen)
    await pause_until(pilot, lambda: screen.form_view.looked != Looked())
    return screen


async def pause_until(pilot: Pilot[None], true: Callable[[], object]) -> None:
    """Let the app work until *true*, however slow the machine."""
    for _ in range(2000):
        if true():
            break
        await pilot.pause(0.02)
    assert true()
    await pilot.pause()


async def settled(app: LanewatchApp, pilot: Pilot[None]) -> None:
    await app.workers.wait_for_complete()
    await pilot.pause()
    await pilot.pause()


def picker_of(app: LanewatchApp) -> PickScreen:
    assert isinstance(app.screen, PickScreen)
    return app.screen
