"""The board's columns: which of them a width has room for, and what each says of a run. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.glyphs import TONES, Glyphs
from tui.presentation import (
    UNKNOWN,
    age,
    ago,
    count,
    memory_tone,
    pace,
    percent,
    remaining,
    size,
)
from tui.stage_progress import ITERATIONS, stage_progress
from tui.state import QUEUED, expected_end, is_over, silence

if TYPE_CHECKING:
    from monitor.status_model import RunStatus

PROGRESS, CHECKPOINT = 9, 11
"""Columns of their figures, which are put shorter where they are wider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. A width of 0 takes what the others leave."""

    title: str
    width: int
    from_width: int
    """The narrowest list that shows it; a screen is two columns wider."""
    cell: Callable[[RunStatus, float, Glyphs], tuple[str, str]]
    right: bool = True
    middle: bool = False
    """Cut in the middle rather than at the end."""


def columns_for(width: int) -> list[Column]:
    """The columns that a list of *width* columns shows."""
    return [column for column in _COLUMNS if width >= column.from_width]


def run_width(columns: list[Column], width: int) -> int:
    """What is left for the column that has no width of its own."""
    fixed = sum(column.width for column in columns)
    return max(4, width - fixed - 2 * (len(columns) - 1))


def _verdict(run: RunStatus, _now: float, glyphs: Glyphs) -> tuple[str, str]:
    return f"{glyphs.verdict(run.verdict)} {run.verdict.value}", TONES[run.verdict]


def _run(run: RunStatus, _now: float, _glyphs: Glyphs) -> tuple[str, str]:
    return run.name or run.run, ""


def _id(run: RunStatus, _now: float, _glyphs: Glyphs) -> tuple[str, str]:
    return run.run if run.name else "", "muted"


def _lane(run: RunStatus, _now: float, _glyphs: Glyphs) -> tuple[str, str]:
    return run.lane or UNKNOWN, "muted"


def _stage(run: RunStatus, _now: float, _glyphs: Glyphs) -> tuple[str, str]:
    if run.foreign is not None:
        return "foreign", "muted"
    if run.status == QUEUED:
        return "queued", "muted"
    if run.stage is None:
        return UNKNOWN, "muted"
    if run.stage_index is None or run.stage_count is None:
        return run.stage, ""
    return f"{run.stage} {run.stage_index}/{run.stage_count}", ""


def _progress(run: RunStatus, _now: float, _glyphs: Glyphs) -> tuple[str, str]:
    """Iterations, or of a stage that counts something else how much of it is done."""
    progress = stage_progress(run)
    if progress.unit == ITERATIONS:
        shown = count(progress.done, progress.total)
        # A total that is cut at its end would be read as a smaller one.
        if len(shown) <= PROGRESS or progress.fraction is None:
            return shown, ""
    if progress.fraction is not None:
        return percent(100 * progress.fraction), ""
    return (size(progress.done) if progress.unit == "bytes" else str(progress.done)), ""


def _pace(run: RunStatus, _now: float, _glyphs: Glyphs) -> tuple[str, str]:
    return pace(run.step_s), ""


def _left(run: RunStatus, now: float, _glyphs: Glyphs) -> tuple[str, str]:
    if is_over(run):
        since = ago(run.ended_wall, now)
        # The largest unit alone: "13h ago" is as much as a column of the past is worth.
        return (f"{age(since).split(' ')[0]} ago" if since is not None else "over"), "muted"
    if silence(run):
        return "unwatched", "warn"
    eta = expected_end(run)
    return remaining(eta.seconds if eta else None), ""


def _checkpoint(run: RunStatus, _now: float, _glyphs: Glyphs) -> tuple[str, str]:
    last = next((each for each in reversed(run.checkpoints) if each.complete), None)
    if last is None:
        return UNKNOWN, "muted"
    if is_over(run):
        return str(last.iteration), "muted"
    since = age(last.age_s)
    shown = f"{last.iteration}, {since}"
    return (shown if len(shown) <= CHECKPOINT else f"{last.iteration}, {since.split(' ')[0]}"), ""


def _memory(run: RunStatus, _now: float, glyphs: Glyphs) -> tuple[str, str]:
    memory = run.memory
    if is_over(run):
        return size(run.peaks.machine_bytes if run.peaks else None), "muted"
    if memory is None:
        return UNKNOWN, "muted"
    level = "" if memory.level == "ok" else f"{glyphs.level(memory.level)} {memory.level} "
    return f"{level}{size(memory.used_bytes)}", memory_tone(memory.level)


_COLUMNS = (
    Column(title="verdict", width=11, from_width=0, cell=_verdict, right=False),
    Column(title="run", width=0, from_width=0, cell=_run, right=False, middle=True),
    Column(title="id", width=29, from_width=148, cell=_id, right=False, middle=True),
    Column(title="lane", width=9, from_width=108, cell=_lane, right=False),
    Column(title="stage", width=11, from_width=70, cell=_stage, right=False),
    Column(title="progress", width=PROGRESS, from_width=36, cell=_progress),
    Column(title="s/iter", width=6, from_width=76, cell=_pace),
    Column(title="left", width=10, from_width=48, cell=_left),
    Column(title="checkpoint", width=CHECKPOINT, from_width=98, cell=_checkpoint),
    Column(title="memory", width=16, from_width=124, cell=_memory),
)
