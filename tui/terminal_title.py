"""The title of the terminal's window: verdict and percent, for who looks at a bar of tabs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.lines import clean
from tui.run_order import URGENT
from tui.stage_progress import ITERATIONS, other_stage, stage_progress
from tui.state import is_over

if TYPE_CHECKING:
    from monitor.status_model import RunStatus
    from tui.state import Snapshot

WITHOUT_TITLE = ("linux", "dumb", "vt100")
PUSH, POP = "\x1b[22;0t", "\x1b[23;0t"
"""The title that was there is kept by the terminal meanwhile, where it can."""
LONGEST = 60


def title_of(snapshot: Snapshot, opened: str | None) -> str:
    """Of the run on the screen, else of the live one that needs a person first."""
    run = snapshot.status_of(opened) if opened is not None else None
    if run is None:
        live = [each for each in snapshot.runs if not is_over(each)]
        run = min(live, key=_urgency, default=None)
    if run is None:
        return "lanewatch"
    progress, stage = stage_progress(run), other_stage(run)
    # How far the training came is no word of the stage behind it.
    fraction = None if stage and progress.unit == ITERATIONS else progress.fraction
    percent = f" {100 * fraction:.0f}%" if fraction is not None else ""
    at = f" {stage}" if stage else ""
    return clean(f"{run.verdict.value}{at}{percent} {run.name or run.run}")[:LONGEST]


def title_sequence(title: str) -> str:
    """What sets the window's title; *title* holds printable characters only."""
    return f"\x1b]2;{title}\x07"


def _urgency(run: RunStatus) -> int:
    return URGENT.index(run.verdict) if run.verdict in URGENT else len(URGENT)
