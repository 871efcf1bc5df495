"""What is said when the screen is quit. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.state import is_over

if TYPE_CHECKING:
    from tui.state import Snapshot


def farewell(snapshot: Snapshot | None) -> str | None:
    """That the live runs go on without this window, and how to find them; None without one."""
    live = [run.run for run in snapshot.runs if not is_over(run)] if snapshot else []
    if not live:
        return None
    if len(live) == 1:
        return f"{live[0]} goes on; come back with: lanewatch {live[0]}"
    return f"{len(live)} runs go on; come back with: lanewatch"
