"""How many rows each part of a run's screen gets. Pure: the size of the terminal in, rows out.

The order of what matters decides: verdict, progress and last checkpoint at any size; then the
evidence, then the log, then the graphs.
"""

from __future__ import annotations

from dataclasses import dataclass

WIDE = 100
"""From this many columns on, the checkpoints stand beside the evidence."""

ROOMY_ROWS = 32
ROOM_FOR_NOTES = 16
MIN_LOG_ROWS = 4
GRAPH_COLUMNS = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLayout:
    """Rows of each part; 0 hides it. What is left over is the log's."""

    verdict: int
    progress: int
    evidence: int
    graphs: int
    graph_count: int
    log: int
    wide: bool


def plan(
    width: int,
    height: int,
    *,
    verdict_rows: int,
    evidence_rows: int,
    series: int,
    note_rows: int = 0,
) -> RunLayout:
    """Share out *height* rows.

    *verdict_rows* would show the whole reason, *evidence_rows* all evidence, heading included;
    *note_rows* is what the progress has to say beyond its figures.
    """
    # Never under 2 where there is room: a reason that grows by a word must not move the screen.
    verdict = 1 if height < 8 else min(_most_verdict_rows(height), max(2, verdict_rows))
    progress = 3 if height >= ROOMY_ROWS else 2 if height >= 6 else int(height >= 4)
    progress += note_rows if height >= ROOM_FOR_NOTES else 0
    left = max(0, height - 2 - verdict - progress)
    evidence = min(evidence_rows, left, 5 if left < 14 else 7 if left < 24 else 12)
    evidence = evidence if evidence >= 2 else 0
    if left - evidence < 2:
        evidence = left
    left -= evidence
    graphs = 0
    if left - MIN_LOG_ROWS >= 4:
        graphs = min(9, 4 if left < 14 else left * 2 // 5)
    return RunLayout(
        verdict=verdict,
        progress=progress,
        evidence=evidence,
        graphs=graphs,
        graph_count=min(series, max(1, width // GRAPH_COLUMNS)) if graphs else 0,
        log=max(0, left - graphs),
        wide=width >= WIDE,
    )


def _most_verdict_rows(height: int) -> int:
    """A reason of two rows, and a row for each thing that must not be missed beside it."""
    return 2 if height < 20 else 4 if height < ROOMY_ROWS else 5
