"""How far a run is in what it does now: iterations, or what another stage counts. Pure.

The board, a run's screen and the terminal's title say the same of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tui.presentation import part
from tui.state import is_over

if TYPE_CHECKING:
    from monitor.status_model import RunStatus

ITERATIONS = "iterations"


class StageProgress(NamedTuple):
    """So much of so much is done; None: not known."""

    done: int | None
    total: int | None
    unit: str

    @property
    def fraction(self) -> float | None:
        """Of the whole, 0 to 1."""
        return part(self.done, self.total)


def stage_progress(run: RunStatus) -> StageProgress:
    """What is counted now; of a run that is over its iterations, where it came to any."""
    iteration = run.iteration
    trained = is_over(run) and iteration.value is not None
    if run.done is not None and run.unit not in (None, ITERATIONS) and not trained:
        return StageProgress(run.done, run.done_total, str(run.unit))
    return StageProgress(iteration.value, iteration.total, ITERATIONS)


def other_stage(run: RunStatus) -> str | None:
    """The stage it is in, or ended in, where that is not the training."""
    return None if run.succeeded or run.stage in (None, "train") else run.stage
