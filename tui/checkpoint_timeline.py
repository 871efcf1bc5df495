"""A run's checkpoints over time: how often, at what cost, what comes next, how long the disk lasts.

Pure. What is not known is not said: a sentence is left out rather than guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from monitor.middle import median
from tui.presentation import duration, remaining, size
from tui.state import expected_end, is_over, is_saving

if TYPE_CHECKING:
    from monitor.metrics import Save
    from monitor.status_model import CheckpointView, RunStatus
    from tui.state import RunDetail

MOST_SAVES = 100_000
"""More to come than this is no plan but a mistake in the recipe."""
LOW_DISK = 2
"""Checkpoints for which there must be room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One save. None: not known."""

    iteration: int
    wall_s: float | None = None
    size_bytes: int | None = None
    save_s: float | None = None
    gap_s: float | None = None
    """Since the save before it."""
    state: str = "whole"
    """whole, writing (a checkpoint in the making), half-written, or deleted (made room)."""


def entries(status: RunStatus, saves: Sequence[Save], now_wall: float) -> tuple[Entry, ...]:
    """Every save that is known of, ascending: what lies on the disk and what lay there once."""
    here = {each.iteration: each for each in status.checkpoints}
    told = {each.iteration: each for each in saves}
    found = []
    for iteration in sorted(here.keys() | told.keys()):
        view, save = here.get(iteration), told.get(iteration)
        wall_s = save.wall_s if save and save.wall_s is not None else None
        if wall_s is None and view is not None:
            # To whole seconds: an age and a clock that are read apart differ by a fraction.
            wall_s = float(round(now_wall - view.age_s))
        found.append(
            Entry(
                iteration=iteration,
                wall_s=wall_s,
                size_bytes=view.size_bytes if view else None,
                save_s=(save.save_s if save else None) or (view.save_s if view else None),
                state=_state(view, status, newest=max(here.keys() | told.keys())),
            )
        )
    return _with_gaps(found)


def _state(view: CheckpointView | None, status: RunStatus, *, newest: int) -> str:
    if view is None:
        return "deleted"
    if view.complete:
        return "whole"
    writing = is_saving(status) and view.iteration == newest
    return "writing" if writing else "half-written"


def _with_gaps(found: list[Entry]) -> tuple[Entry, ...]:
    from dataclasses import replace

    shown = found[:1]
    for before, after in pairwise(found):
        known = before.wall_s is not None and after.wall_s is not None
        gap = after.wall_s - before.wall_s if known else None  # type: ignore[operator]
        shown.append(replace(after, gap_s=gap if gap is not None and gap > 0 else None))
    return tuple(shown)


def sentences(
    status: RunStatus, detail: RunDetail | None, found: Sequence[Entry]
) -> list[tuple[str, str]]:
    """(sentence, tone) about *found*, the most urgent first."""
    said = [each for each in (_half(found), _disk(status, detail, found)) if each is not None]
    said += [(each, "") for each in (_next(status, detail), _cadence(detail, found)) if each]
    cost = _cost(found)
    if cost:
        said.append((cost, ""))
    return sorted(said, key=lambda each: each[1] == "")


def next_save(status: RunStatus, interval: int | None) -> int | None:
    """The iteration of the next save; the last iteration is always saved."""
    value, total = status.iteration.value, status.iteration.total
    if value is None or not interval or is_over(status):
        return None
    due = (value // interval + 1) * interval
    if total is None:
        return due
    return min(due, total) if value < total else None


def saves_to_come(status: RunStatus, interval: int | None) -> int | None:
    """How many checkpoints are still to be written; None where that is not known."""
    value, total = status.iteration.value, status.iteration.total
    if value is None or total is None or not interval or is_over(status):
        return None
    later = total // interval - value // interval
    return later + (total % interval != 0 and value < total)


def _half(found: Sequence[Entry]) -> tuple[str, str] | None:
    halves = [str(each.iteration) for each in found if each.state == "half-written"]
    if halves:
        verb = "is" if len(halves) == 1 else "are"
        return f"{', '.join(halves)} {verb} half-written: no resume begins there", "warn"
    writing = next((each for each in found if each.state == "writing"), None)
    return None if writing is None else (f"{writing.iteration} is being written now", "good")


def _disk(
    status: RunStatus, detail: RunDetail | None, found: Sequence[Entry]
) -> tuple[str, str] | None:
    sizes = [each.size_bytes for each in found if each.size_bytes and each.state == "whole"]
    free = status.machine.disk_free_bytes if status.machine else None
    if not sizes or free is None or is_over(status):
        return None
    one = max(sizes)
    more = saves_to_come(status, detail.save_interval if detail else None)
    kept = detail.keep_last if detail else None
    if more is None or more > MOST_SAVES:
        return f"one takes {size(one)}, {size(free)} of the disk are free", ""
    there = sum(each.state == "whole" for each in found)
    # One more than is kept: the old one goes only when the new one is whole.
    grows = more if not kept else min(more, max(1, kept + 1 - there))
    need = grows * one
    if need >= free:
        fits = free // one
        return (
            f"the disk is full after {fits} more of {more}: "
            f"{size(free)} free, one takes {size(one)}",
            "bad" if fits < LOW_DISK else "warn",
        )
    return f"{more} to come add {size(need)} at most, {size(free)} of the disk are free", ""


def _next(status: RunStatus, detail: RunDetail | None) -> str | None:
    due = next_save(status, detail.save_interval if detail else None)
    value = status.iteration.value
    if due is None or value is None:
        return None
    if not status.step_s or expected_end(status) is None:
        return f"next at {due}"
    return f"next at {due}, in {remaining((due - value) * status.step_s)}"


def _cadence(detail: RunDetail | None, found: Sequence[Entry]) -> str | None:
    interval = detail.save_interval if detail else None
    gaps = [each.gap_s for each in found if each.gap_s is not None]
    every = f"every {interval} iterations" if interval else None
    apart = f"{duration(median(gaps))} apart" if gaps else None
    kept = detail.keep_last if detail else None
    parts = [each for each in (every, apart, f"the last {kept} are kept" if kept else None) if each]
    return ", ".join(parts) or None


def _cost(found: Sequence[Entry]) -> str | None:
    costs = [each.save_s for each in found if each.save_s is not None]
    if not costs:
        return None
    first, later = costs[0], costs[1:]
    if not later:
        return f"the first save took {duration(first)}"
    gaps = [each.gap_s for each in found if each.gap_s is not None]
    share = f", {100 * median(later) / median(gaps):.1f} % of the time" if gaps else ""
    return f"a save takes {duration(median(later))}{share}; the first one took {duration(first)}"
