"""What the screens look like: each at two sizes in each state, with fixed values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from monitor.status_model import RunStatus
from tui.app import LanewatchApp
from tui.messages import Sampled

SIZES = [pytest.param((80, 24), id="80x24"), pytest.param((120, 40), id="120x40")]
STATES = ["empty", "training", "log-stuck", "stalled", "failed", "finished"]


def _shows(snapshot: Any) -> Callable[[Pilot[None]], Any]:
    async def run_before(pilot: Pilot[None]) -> None:
        pilot.app.post_message(Sampled(snapshot))
        await pilot.pause()
        await pilot.pause()

    return run_before


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", STATES)
def test_run(
    snap_compare: Any,
    make_app: Callable[..., LanewatchApp],
    snap_of: Any,
    states: dict[str, RunStatus],
    state: str,
    size: tuple[int, int],
) -> None:
    status = states[state]
    run = status.run if status else "nemo-20260521-101112-3fa2"
    app = make_app(run=run, stop=lambda run, save: None)
    snapshot = snap_of(status, opened=status) if status else snap_of()
    assert snap_compare(app, run_before=_shows(snapshot), terminal_size=size)
