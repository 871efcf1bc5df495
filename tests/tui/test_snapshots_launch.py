"""What the launch form and its picker look like, at two sizes, in each state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from desks import PENDING, REFUSED, WELL, FakeDesk
from textual.pilot import Pilot

from monitor.status_model import RunStatus
from tui.app import LanewatchApp
from tui.launching.values import Looked
from tui.messages import Sampled
from tui.screens.launch import LaunchScreen

SIZES = [pytest.param((80, 24), id="80x24"), pytest.param((120, 40), id="120x40")]
STATES = {"looking": PENDING, "ready": WELL, "refused": REFUSED}


def _form(snapshot: Any, looked: Looked, *keys: str) -> Callable[[Pilot[None]], Any]:
    async def run_before(pilot: Pilot[None]) -> None:
        pilot.app.post_message(Sampled(snapshot))
        await pilot.pause()
        await pilot.press("n")
        screen = pilot.app.screen
        assert isinstance(screen, LaunchScreen)
        while screen.checks.looked != looked:
            await pilot.pause(0.02)
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await pilot.pause()
        await pilot.pause()

    return run_before


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", STATES)
def test_launch(
    snap_compare: Any,
    make_app: Callable[..., LanewatchApp],
    snap_of: Any,
    training: RunStatus,
    state: str,
    size: tuple[int, int],
) -> None:
    looked = STATES[state]
    app = make_app(launch=lambda: FakeDesk(looked=looked))
    assert snap_compare(app, run_before=_form(snap_of(training), looked), terminal_size=size)


@pytest.mark.parametrize("size", SIZES)
def test_picker(
    snap_compare: Any,
    make_app: Callable[..., LanewatchApp],
    snap_of: Any,
    training: RunStatus,
    size: tuple[int, int],
) -> None:
    app = make_app(launch=FakeDesk)
    before = _form(snap_of(training), WELL, "j", "enter", "v", "3")
    assert snap_compare(app, run_before=before, terminal_size=size)
