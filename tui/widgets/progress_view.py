"""How far a run is, when it will end, and the figures that go with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.reactive import reactive

from tui.glyphs import Glyphs, bar
from tui.lines import GAP, Line, Span, fit, pad, width_of, wrap
from tui.notices import at_limit
from tui.presentation import (
    age,
    ago,
    clock,
    count,
    duration,
    figure,
    memory_tone,
    pace,
    percent,
    rate,
    remaining,
    size,
    used_of,
)
from tui.stage_progress import ITERATIONS, stage_progress
from tui.state import expected_end, is_over
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from monitor.status_model import MemoryView, RunStatus


LEAST_BAR = 8
"""Columns under which the bar gives way: the words of the end go before it."""

TOLD = frozenset({"skipped", "failed", "stopped"})
"""Of a stage: what its place among the others and the time it took do not tell."""


class ProgressView(LineView):
    """Row 1: iteration, bar, ETA. Row 2: last checkpoint, figures. Then notes, last the stages."""

    status: reactive[RunStatus | None] = reactive(None, repaint=False)
    now_wall: reactive[float] = reactive(0.0, repaint=False)

    notes: reactive[tuple[str, ...]] = reactive((), repaint=False)
    """Sentences about a run that is over: what it projects, say."""

    def show(self, status: RunStatus | None, now_wall: float, notes: tuple[str, ...] = ()) -> None:
        """Show *status* as it is at *now_wall*."""
        self.set_reactive(ProgressView.status, status)
        self.set_reactive(ProgressView.notes, notes)
        self.set_reactive(ProgressView.now_wall, now_wall)
        self.update_lines()

    def lines(self, width: int, height: int) -> list[Line]:
        status = self.status
        if status is None:
            return []
        rows = [self._bar(status, width), self._facts(status, width)]
        rows += [((each, ""),) for each in noted(self.notes, width, self.glyphs.ellipsis)]
        rows.append(self._stages(status, width))
        return rows[:height]

    def _bar(self, status: RunStatus, width: int) -> Line:
        progress = stage_progress(status)
        done, total, unit = progress
        if done is None and total is None:
            over = is_over(status)
            said = "no progress was reported" if over else "no progress reported yet"
            return ((said, "muted"),)
        fraction = progress.fraction
        parts: list[Span] = [
            (pad(count(done, total) + _error(status), 9), "strong"),
            (pad(percent(fraction * 100), 5, right=True) if fraction is not None else "", ""),
            (unit if unit != ITERATIONS else "", "muted"),
        ]
        *ranged, last = self._endings(status)
        rows = [[*parts, (each, "")] for each in ranged]
        rows += [[parts[0], parts[2], (each, "")] for each in ranged[-1:]]
        rows.append([*parts, (last, "")])
        row = next((each for each in rows if _holds(width, each)), rows[-1])
        reached = fit(row, width, gap="  ")
        # The bar comes last: it seldom moves, and what moves is sent from the left edge on.
        length = min(60, width - width_of(reached) - len(GAP))
        if length < LEAST_BAR or row != rows[0]:
            return reached
        return (*reached, (GAP, ""), (bar(fraction, length, self.glyphs), "accent"))

    def _endings(self, status: RunStatus) -> list[str]:
        """When it ends, in ever fewer words; the last has no range of the end any more."""
        if is_over(status):
            if status.ended_wall is None:
                return [""]
            when = age(ago(status.ended_wall, self.now_wall))
            took = ago(status.created_wall, status.ended_wall)
            ended = f"ended {when} ago"
            return [f"{ended} after {duration(took)}", ended] if took is not None else [ended]
        eta = expected_end(status)
        if eta is None:
            return [""]
        left, spread = remaining(eta.seconds), f"{remaining(eta.low_s)} to {remaining(eta.high_s)}"
        ends = f", ends {clock(eta.finish_wall, self.now_wall)}"
        unknown = f", {' and '.join(eta.unknown)} unknown" if eta.unknown else ""
        ranged = f"{left} left ({spread})"
        shorter = [f"{ranged}{ends}{unknown}", f"{ranged}{unknown}", ranged]
        return [*shorter, f"{spread} left", f"{left} left"]

    def _facts(self, status: RunStatus, width: int) -> Line:
        memory = status.memory
        peak = memory.peak_bytes if memory else status.peaks.machine_bytes if status.peaks else None
        last = self._checkpoint(status)
        parts: list[Span] = [
            (last, ""),
            (f"{pace(status.step_s)} s/iteration" if status.step_s is not None else "", ""),
            (f"loss {figure(status.loss)}" if status.loss is not None else "", ""),
        ]
        if memory is not None and not is_over(status):
            # What may end the run goes before what tells how well it does.
            well = memory.level == "ok" and not at_limit(memory)
            at = len(parts) if well else 1
            room = width - cell_len(last) - len(GAP)
            parts.insert(at, _memory(memory, room, self.glyphs))
        parts.append((f"lr {rate(status.lr)}" if status.lr is not None else "", "muted"))
        if peak is not None:
            parts.append((f"peak {size(peak)}", "muted"))
        return fit(parts, width)

    def _checkpoint(self, status: RunStatus) -> str:
        last = next((each for each in reversed(status.checkpoints) if each.complete), None)
        if last is None:
            return "no whole checkpoint" if is_over(status) else "no checkpoint yet"
        if is_over(status):
            return f"last checkpoint {last.iteration}"
        return f"checkpoint {last.iteration}, {age(last.age_s)} ago"

    def _stages(self, status: RunStatus, width: int) -> Line:
        parts: list[Span] = []
        for stage in status.stages:
            glyph = self.glyphs.stages.get(stage.status, "?")
            word = f" {stage.status}" if stage.status in TOLD else ""
            took = f" {duration(stage.wall_s)}" if stage.wall_s is not None else ""
            tone = {"running": "strong", "failed": "bad"}.get(stage.status, "muted")
            parts.append((f"{glyph} {stage.name}{word}{took}", tone))
        return fit(parts, width)


def _memory(memory: MemoryView, width: int, glyphs: Glyphs) -> Span:
    """The memory against its limit, with as many words as *width* has room for."""
    used = used_of(memory.used_bytes, memory.limit_bytes)
    level = "limit" if at_limit(memory) else memory.level
    word = "at its limit" if level == "limit" else level
    said = "memory" if level == "ok" else f"{glyphs.level(level)} memory {word}"
    choices = [f"{said}, {used}" if level == "limit" else f"{said} {used}"]
    if level != "limit" and memory.minutes_to_limit is not None:
        soon = f"at its limit in {remaining(memory.minutes_to_limit * 60)}"
        choices = [f"{said} {used}, {soon}", f"{said}, {soon}"]
    choices += [said] if level != "ok" else []
    shown = next((each for each in choices if cell_len(each) <= width), "")
    return shown, memory_tone(level)


def noted(notes: tuple[str, ...], width: int, ellipsis: str = "…") -> list[str]:
    """The rows that *notes* take."""
    return [row for note in notes for row in wrap(note, width, 3, ellipsis)]


def _holds(width: int, row: list[Span]) -> bool:
    """All of *row* has room."""
    return len(fit(row, width, gap="  ")) == len(fit(row, 1000, gap="  "))


def _error(status: RunStatus) -> str:
    return f" (+{status.iteration.error} at most)" if status.iteration.error else ""
