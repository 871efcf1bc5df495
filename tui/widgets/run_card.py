"""The selected run beside the list: its verdict with the whole reason, and its figures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tui.lines import Line, clean, cut, heading, line, pad, wrap
from tui.notices import notices
from tui.presentation import (
    UNKNOWN,
    age,
    clock,
    count,
    duration,
    figure,
    pace,
    remaining,
    size,
    used_of,
)
from tui.remedies import first_remedy, without_keys
from tui.state import expected_end, is_over
from tui.verdict_words import verdict_rows
from tui.widgets.verdict_view import VerdictView

if TYPE_CHECKING:
    from monitor.status_model import RunStatus

LABEL = 12
REASON_ROWS, NOTICE_ROWS = 10, 3
_OF_ITS_SCREEN = re.compile(r" \(([dKwa]|tab \d)\)")


class RunCard(VerdictView):
    """Below a narrow list it is the verdict alone; with more rows, more of the run."""

    has_keys = True
    """False in a view in which no key changes a run."""

    def lines(self, width: int, height: int) -> list[Line]:
        status = self.status
        if status is None:
            return super().lines(width, height)
        if height < REASON_ROWS:
            said = super().lines(width, height)
            return [*said, *self._remedy(status, width)][:height]
        name = cut(clean(status.name or status.run), width - 2, self.glyphs.ellipsis)
        shown: list[Line] = [heading(name, width, self.glyphs.rule)]
        shown += self._reason(status, width)
        shown += self._remedy(status, width)
        shown.append(line())
        for label, text in _facts(status, self.now_wall):
            shown += self._labelled(label, text, width)
        if status.evidence and len(shown) + 3 < height:
            shown += [line(), heading("evidence", width, self.glyphs.rule)]
            for each in status.evidence:
                text = f"{each.detail}, {age(each.age_s)} ago" if each.age_s else each.detail
                shown += self._labelled(clean(each.signal)[: LABEL - 1], text, width)
        return shown[:height]

    def _remedy(self, status: RunStatus, width: int) -> list[Line]:
        """What to do first, without the keys that are those of the run's own screen."""
        remedy = _OF_ITS_SCREEN.sub("", first_remedy(status) or "")
        if not self.has_keys:
            remedy = without_keys(remedy)
        rows = wrap(remedy, width - 4, 3, self.glyphs.ellipsis)
        return [
            (("    " if at else "do: ", "accent"), (row, "strong")) for at, row in enumerate(rows)
        ]

    def _labelled(self, label: str, text: str, width: int) -> list[Line]:
        room = max(1, width - LABEL)
        rows = wrap(clean(text), room, 2, self.glyphs.ellipsis, whole=True) or [""]
        labels = [label, *[""] * (len(rows) - 1)]
        return [
            ((pad(said, LABEL), "muted"), (row, "")) for said, row in zip(labels, rows, strict=True)
        ]

    def _reason(self, status: RunStatus, width: int) -> list[Line]:
        """The whole of it: there is room to break what a single row would cut."""
        reason = clean(status.reason)
        shown = verdict_rows(self._label(status), reason, width, REASON_ROWS, self.glyphs)
        return shown + [
            line(row, tone)
            for text, tone in notices(status, self.glyphs)
            for row in wrap(clean(text), width, NOTICE_ROWS, self.glyphs.ellipsis)
        ]


def _facts(status: RunStatus, now_wall: float) -> Iterator[tuple[str, str]]:
    """What is known, and only that."""
    if status.name:
        yield "run", status.run
    where = " on ".join(each for each in (status.lane, status.engine) if each)
    if where:
        yield "lane", where
    if status.foreign is not None:
        yield "started", "not by lanewatch: it is watched, not kept"
    if status.stage and status.stage_index is not None and status.stage_count is not None:
        yield "stage", f"{status.stage}, {status.stage_index} of {status.stage_count}"
    if status.iteration.value is not None:
        yield "iteration", count(status.iteration.value, status.iteration.total)
    if (step := pace(status.step_s)) != UNKNOWN:
        yield "pace", f"{step} s an iteration"
    if (eta := expected_end(status)) is not None:
        yield "ends", f"in {remaining(eta.seconds)}, about {clock(eta.finish_wall, now_wall)}"
    last = next((each for each in reversed(status.checkpoints) if each.complete), None)
    if last is not None:
        cost = f", took {duration(last.save_s)}" if last.save_s is not None else ""
        # Of a run that is over the age is the one at its end: nobody's "ago".
        since = "" if is_over(status) else f", {age(last.age_s)} ago"
        yield "checkpoint", f"{last.iteration}{since}{cost}"
    if is_over(status) and status.loss is not None:
        yield "loss", f"{figure(status.loss)}, the last one"
    if status.peaks is not None and status.peaks.machine_bytes is not None:
        yield "peak", size(status.peaks.machine_bytes)
    if status.memory is not None:
        yield "memory", used_of(status.memory.used_bytes, status.memory.limit_bytes)
        if status.memory.peak_bytes:
            yield "peak", size(status.memory.peak_bytes)
