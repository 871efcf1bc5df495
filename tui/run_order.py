"""The orders in which the board can show its runs. Pure.

A run of which the figure is not known comes last, whatever the direction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.state import expected_end

if TYPE_CHECKING:
    from monitor.status_model import RunStatus

URGENT = (
    "stalled",
    "lost",
    "failed",
    "suspect",
    "log-stuck",
    "slow",
    "starting",
    "saving",
    "working",
    "training",
    "stopped",
    "ended",
    "finished",
)
"""Verdicts, what needs a person first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order; without a key, as the runs come: live first, newest first."""

    name: str
    column: str = ""
    """Title of the column that shows it."""
    key: Callable[[RunStatus], float | str | None] | None = None
    rising: bool = True

    def sort(self, runs: Sequence[RunStatus]) -> list[RunStatus]:
        """*runs* in this order; equals stay as they came."""
        if self.key is None:
            return list(runs)
        key = self.key
        known = [run for run in runs if key(run) is not None]
        known.sort(key=lambda run: key(run) or 0, reverse=not self.rising)
        return known + [run for run in runs if key(run) is None]


def _verdict(run: RunStatus) -> float:
    return URGENT.index(run.verdict) if run.verdict in URGENT else len(URGENT)


def _name(run: RunStatus) -> str:
    return (run.name or run.run).casefold()


def _lane(run: RunStatus) -> str:
    return run.lane or "\uffff"


def _progress(run: RunStatus) -> float | None:
    value, total = run.iteration.value, run.iteration.total
    if value is None:
        return None
    return value / total if total else 0.0


def _pace(run: RunStatus) -> float | None:
    return run.step_s if run.step_s is not None and math.isfinite(run.step_s) else None


def _left(run: RunStatus) -> float | None:
    eta = expected_end(run)
    return eta.seconds if eta else None


def _memory(run: RunStatus) -> float | None:
    """As its column says it: of a run that is over its peak."""
    if run.peaks is not None:
        return run.peaks.machine_bytes
    return run.memory.used_bytes if run.memory else None


ORDERS = (
    Order(name="live first, newest first"),
    Order(name="what needs you first", column="verdict", key=_verdict),
    Order(name="by name", column="run", key=_name),
    Order(name="by lane", column="lane", key=_lane),
    Order(name="furthest first", column="progress", key=_progress, rising=False),
    Order(name="slowest first", column="s/iter", key=_pace, rising=False),
    Order(name="soonest to end first", column="left", key=_left),
    Order(name="most memory first", column="memory", key=_memory, rising=False),
)
