"""Numbers to rows of graph characters. Pure: no widget, no clock.

A graph is text of one colour, so that a repaint costs its characters and no colour changes. Time
runs in columns whose edges are whole multiples of their length: between two edges only the newest
column can change, and the rest of the graph is not sent to the terminal again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_DOTS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""Braille bits of the left and right dot column, from the bottom up."""

ABSURD = 1e15
"""A value beyond this sets no scale: a loss that blew up must not flatten all the rest."""


def by_time(
    points: Sequence[tuple[float, float]], columns: int, span_s: float, now_s: float
) -> list[float | None]:
    """The mean of each of *columns* equal stretches of the last *span_s* seconds.

    *points* are (seconds, value), ascending. A stretch without a point is None: a gap, not a zero.
    """
    if columns <= 0:
        return []
    step = max(1.0, math.ceil(span_s / columns))
    first = math.floor(now_s / step) - columns + 1
    sums = [0.0] * columns
    counts = [0] * columns
    for at, value in points:
        column = math.floor(at / step) - first
        if 0 <= column < columns and math.isfinite(value):
            sums[column] += value
            counts[column] += 1
    return [total / number if number else None for total, number in zip(sums, counts, strict=True)]


def by_iteration(
    points: Sequence[tuple[int, float]], columns: int, last: int
) -> list[float | None]:
    """The mean value of each of *columns* equal ranges of the iterations 1 to *last*."""
    sums = [0.0] * columns
    counts = [0] * columns
    for iteration, value in points:
        column = (iteration - 1) * columns // max(1, last)
        if 0 <= column < columns and math.isfinite(value):
            sums[column] += value
            counts[column] += 1
    return [total / number if number else None for total, number in zip(sums, counts, strict=True)]


def iteration_axis(newest: int, total: int | None) -> int:
    """The iteration at the right edge: doubles as training goes on, so that it seldom moves."""
    axis = 32
    while axis < newest:
        axis *= 2
    return min(axis, max(total, newest)) if total else axis


def nice_range(values: Sequence[float | None]) -> tuple[float, float] | None:
    """Round bounds around *values*, so that a new extreme seldom moves the scale."""
    known = [value for value in values if value is not None and abs(value) < ABSURD]
    if not known:
        return None
    low, high = min(known), max(known)
    if high - low < 1e-9:
        return low - 0.5, high + 0.5
    step = 10 ** math.floor(math.log10(high - low)) / 2
    return math.floor(low / step) * step, math.ceil(high / step) * step


def curve(
    values: Sequence[float | None], rows: int, low: float, high: float, *, braille: bool
) -> list[str]:
    """A line through *values*; in Braille two values share a character's width."""
    if not braille:
        return _plain_curve(values, rows, low, high)
    cells = [[0] * math.ceil(len(values) / 2) for _ in range(rows)]
    previous: int | None = None
    for index, value in enumerate(values):
        if value is None:
            continue
        level = max(0, _level(value, low, high, rows * 4) - 1)
        # Join to the point before, so that a steep line has no holes.
        below, above = _joint(previous, level)
        for dot in range(below, above + 1):
            cells[rows - 1 - dot // 4][index // 2] |= _DOTS[index % 2][dot % 4]
        previous = level
    return ["".join(chr(0x2800 + cell) if cell else " " for cell in row) for row in cells]


def _joint(previous: int | None, level: int) -> tuple[int, int]:
    if previous is None or previous == level:
        return level, level
    return (previous + 1, level) if previous < level else (level, previous - 1)


def _plain_curve(values: Sequence[float | None], rows: int, low: float, high: float) -> list[str]:
    levels = [None if value is None else _level(value, low, high, rows) for value in values]
    return [
        "".join("*" if level is not None and max(1, level) == row + 1 else " " for level in levels)
        for row in reversed(range(rows))
    ]


def _level(value: float | None, low: float, high: float, levels: int) -> int:
    """*value* on a scale of 0 (nothing known) and 1 to *levels*."""
    if value is None or not math.isfinite(value):
        return 0
    fraction = (value - low) / (high - low) if high > low else 0.0
    return max(1, math.ceil(min(1.0, max(0.0, fraction)) * levels))
