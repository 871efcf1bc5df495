"""When will training end? Pure.

The rule: what is left is counted in iterations of this run's own pace and in saves of its own cost;
time that an earlier attempt or a wait took is no part of it, so a resumed run projects as well as a
fresh one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from monitor.middle import median
from monitor.model import History

ENOUGH_STEPS = 3
"""The first iterations of a process compile and allocate: too few say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Seconds until the last iteration is done and saved, with a range."""

    seconds: float
    low_s: float
    high_s: float


def project(
    *,
    iteration: int | None,
    total: int | None,
    history: History,
    save_interval: int | None = None,
    since_s: float | None = None,
    saves: Sequence[float] = (),
) -> Projection | None:
    """Return when *total* is reached, or None while the pace is not known.

    *since_s* is how long the iteration in progress has taken already; *saves* are what this
    process's saves cost in seconds, where the trainer measured them. The range is the 20th to the
    80th percentile of the iterations and the median to the longest of the saves.
    """
    history = _with_saves(history, saves)
    step = history.step_median_s
    if iteration is None or total is None or step is None or history.step_count < ENOUGH_STEPS:
        return None
    left = max(0, total - iteration)
    low = left * min(step, history.step_low_s or step)
    high = left * max(step, history.step_high_s or step)
    save, longest = _save_costs(history, remaining_saves(iteration, total, save_interval))
    under_way = min(since_s or 0.0, step) if left else 0.0
    return Projection(
        seconds=max(0.0, left * step + save - under_way),
        low_s=max(0.0, low + save - under_way),
        high_s=max(0.0, high + longest),
    )


def remaining_saves(iteration: int, total: int, save_interval: int | None) -> int:
    """How many saves are still to come; the last iteration is always saved."""
    if iteration >= total:
        return 0
    if not save_interval or save_interval < 1:
        return 1
    regular = total // save_interval - iteration // save_interval
    return regular + (1 if total % save_interval else 0)


def _with_saves(history: History, saves: Sequence[float]) -> History:
    """What the trainer measured is exact; what the watcher saw is to the next look."""
    if not saves:
        return history
    later = saves[1:]
    return replace(
        history,
        saves_this_process=len(saves),
        first_save_s=saves[0],
        save_median_s=median(later) if later else history.save_median_s,
        save_max_s=max(later) if later else history.save_max_s,
    )


def _save_costs(history: History, saves: int) -> tuple[float, float]:
    """The usual and the longest cost of *saves* saves; a process's first one is apart."""
    usual = history.save_median_s or 0.0
    longest = history.save_max_s or usual
    if saves and history.saves_this_process == 0:
        first = history.first_save_s if history.first_save_s is not None else usual
        return first + (saves - 1) * usual, max(first, longest) + (saves - 1) * longest
    return saves * usual, saves * longest
