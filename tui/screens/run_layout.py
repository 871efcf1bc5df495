"""How many rows each part of a run's screen gets. Pure: the size of the terminal in, rows out.

The order of what matters decides: verdict, progress, last checkpoint and what to do first at any
size; then the evidence, then the log, then the graphs.
"""

from __future__ import annotations

from typing import NamedTuple

from tui.verdict_words import least_rows

WIDE = 120
"""From this many columns on, the checkpoints stand beside the evidence, graphs in two columns."""

SHRINK_S = 60.0
ROOMY_ROWS = 32
ROOM_FOR_NOTES = 16
ROOM_FOR_REMEDY = 8
ROOM_FOR_REMEDY_ON_EACH_TAB = 18
MIN_LOG_ROWS = 4
MOST_LOG_ROWS = 10
GRAPH_COLUMNS = 28
LEAST_GRAPH_ROWS = 5


class HeadLayout(NamedTuple):
    """Rows of what stands above every tab; 0 hides it."""

    verdict: int
    remedy: int
    progress: int
    tabs: int
    body: int
    """What is left for the tab."""


class OverviewLayout(NamedTuple):
    """Rows of the parts of the overview; 0 hides it. What is left over is the log's."""

    evidence: int
    graphs: int
    graph_count: int
    log: int
    wide: bool


class ChartsLayout(NamedTuple):
    """How graphs share a tab."""

    head: int
    """Rows of the text above them."""
    columns: int
    shown: int
    """Graphs that fit; the chosen one is always among them."""


class Steadied:
    """Rows that grow at once, and shrink only when less has been enough for a minute.

    A part that comes and goes (what to do, while a verdict wavers) would else move all the others
    each time, and a screen that moves is sent whole.
    """

    def __init__(self) -> None:
        self._rows = self._enough = 0
        self._since_s: float | None = None

    def rows(self, wanted: int, now_s: float) -> int:
        """The rows to give at *now_s* to what wants *wanted* now."""
        if wanted >= self._rows:
            self._rows, self._since_s = wanted, None
        elif self._since_s is None or now_s < self._since_s:
            self._enough, self._since_s = wanted, now_s
        else:
            self._enough = max(self._enough, wanted)
            if now_s - self._since_s >= SHRINK_S:
                self._rows, self._since_s = self._enough, None
        return self._rows

    def forget(self) -> None:
        """Begin anew: the terminal has another size, say."""
        self._rows, self._since_s = 0, None


def plan_head(
    height: int, *, verdict_rows: int, remedy_rows: int, note_rows: int = 0, overview: bool = True
) -> HeadLayout:
    """Share out *height* rows between what stands above every tab and the tab.

    *verdict_rows* would show the whole reason, *remedy_rows* the whole remedy, *note_rows* is what
    the progress has to say beyond its figures. Other tabs than the overview get more room.
    """
    # Never less: a reason that grows by a word must not move the screen.
    least, most = least_rows(height), _most_verdict_rows(height)
    if not overview:
        most = min(most, 2 if height < ROOMY_ROWS else 3)
    verdict = min(most, max(least, verdict_rows)) if least > 1 else 1
    progress = 3 if height >= ROOMY_ROWS else 2 if height >= 6 else int(height >= 4)
    remedy = min(remedy_rows, 2) if height >= ROOM_FOR_REMEDY else 0
    if overview:
        progress += note_rows if height >= ROOM_FOR_NOTES else 0
    elif height < ROOM_FOR_REMEDY_ON_EACH_TAB:
        remedy = 0
    tabs = int(height >= 10)
    body = max(0, height - 2 - verdict - progress - remedy - tabs)
    return HeadLayout(verdict=verdict, remedy=remedy, progress=progress, tabs=tabs, body=body)


def plan_overview(width: int, rows: int, *, evidence_rows: int, series: int) -> OverviewLayout:
    """Share out *rows*; *evidence_rows* would show all evidence, heading included."""
    evidence = min(evidence_rows, rows, max(5, rows * 2 // 3) if rows < 23 else 12)
    evidence = evidence if evidence >= 2 else 0
    if rows - evidence < 2:
        evidence = rows
    left = rows - evidence
    graphs = 0
    if left - MIN_LOG_ROWS >= LEAST_GRAPH_ROWS:
        graphs = max(LEAST_GRAPH_ROWS, left - MOST_LOG_ROWS if left >= 20 else left // 2)
    return OverviewLayout(
        evidence=evidence,
        graphs=graphs,
        graph_count=min(series, max(1, width // GRAPH_COLUMNS)) if graphs else 0,
        log=max(0, left - graphs),
        wide=width >= WIDE - 2,
    )


def plan_charts(width: int, rows: int, *, series: int, head_rows: int = 0) -> ChartsLayout:
    """How *series* graphs fit; *head_rows* of text give way before the last graph does."""
    columns = 2 if width >= WIDE - 2 and series > 1 else 1
    head = head_rows if rows - head_rows >= LEAST_GRAPH_ROWS else min(head_rows, rows)
    left = rows - head
    lines = left // LEAST_GRAPH_ROWS
    return ChartsLayout(head=head, columns=columns, shown=min(series, lines * columns))


def _most_verdict_rows(height: int) -> int:
    """A reason of two rows, and a row for each thing that must not be missed beside it."""
    if height < 16:
        return 2
    return 3 if height < 20 else 4 if height < ROOMY_ROWS else 5
