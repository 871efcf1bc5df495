"""Numbers to rows of graph characters. Pure: no widget, no clock.

A graph is text of one colour, so that a repaint costs its characters and no colour changes. Its
axis stands still while it fills from the left: only the newest column can change, and the rest of
the graph is not sent to the terminal again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

_DOTS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""Braille bits of the left and right dot column, from the bottom up."""

ABSURD = 1e15
"""A value beyond this sets no scale: a loss that blew up must not flatten all the rest."""


def sampled(
    points: Sequence[tuple[float, float]],
    columns: int,
    left: float,
    right: float,
    gap: float = math.inf,
) -> list[float | None]:
    """The mean of each of *columns* equal stretches of the axis from *left* to *right*.

    *points* are (place, value), ascending; a value at *right* is in the last column. Between two
    points that are at most *gap* apart the line goes on; a wider hole is None, not a zero.
    """
    if columns <= 0 or right <= left:
        return [None] * max(0, columns)
    step = (right - left) / columns
    sums = [0.0] * columns
    counts = [0] * columns
    places: list[float] = [0.0] * columns
    for at, value in points:
        column = min(columns - 1, math.floor((at - left) / step)) if at <= right else columns
        if 0 <= column < columns and math.isfinite(value):
            sums[column] += value
            counts[column] += 1
            places[column] = at
    means = [total / many if many else None for total, many in zip(sums, counts, strict=True)]
    return _bridged(means, places, gap)


def _bridged(values: list[float | None], places: Sequence[float], gap: float) -> list[float | None]:
    """*values* with a straight line across the columns between two points near to one another."""
    before: int | None = None
    for column, value in enumerate(values):
        if value is None:
            continue
        start = values[before] if before is not None else None
        if before is not None and start is not None and places[column] - places[before] <= gap:
            for between in range(before + 1, column):
                share = (between - before) / (column - before)
                values[between] = start + share * (value - start)
        before = column
    return values


TIME_LADDER_S = (900, 1200, 1800, 2700, 3600, 5400, 7200, 10800, 14400, 21600, 28800, 43200, 64800)


def time_axis(first_s: float, newest_s: float) -> float:
    """The right edge of an axis that begins at *first_s*; it moves seldom, and by much."""
    span = newest_s - first_s
    for rung in TIME_LADDER_S:
        if span <= rung:
            return first_s + rung
    return first_s + 86400 * math.ceil(span / 86400)


def usual_gap(points: Sequence[tuple[float, float]]) -> float:
    """How far apart two points may be for the line to go on: three times the usual."""
    if len(points) < 3:
        return math.inf
    steps = sorted(after[0] - before[0] for before, after in pairwise(points))
    return 3.5 * steps[len(steps) // 2]


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
    if high - low <= max(1e-30, 1e-9 * max(abs(low), abs(high))):
        room = min(0.5, abs(low) / 2) or 0.5  # a constant rate of 1e-4 is not drawn from -0.5 on
        return low - room, high + room
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
