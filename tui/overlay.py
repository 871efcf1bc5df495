"""Several curves in one picture: rows of spans, a tone for each curve. Pure: no widget, no clock.

Where two curves meet, the later one gives the colour; the letter at a curve's end tells them apart
where there is none.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from tui.graphs import curve, nice_range
from tui.lines import Line, Span

Points = Sequence[tuple[float, float]]

EMPTY = "\u2800"


def overlay(
    curves: Sequence[Points],
    tones: Sequence[str],
    letters: Sequence[str],
    width: int,
    rows: int,
    *,
    braille: bool,
) -> list[Line]:
    """Draw *curves* over each other, in one scale; each is (x, y) ascending by x."""
    room = width - 1  # the last column is for the letters
    span = reach(curves)
    if span is None or room < 4 or rows < 1:
        return []
    drawn = [_resampled(points, room * (2 if braille else 1), span) for points in curves]
    low, high = nice_range([value for values in drawn for value in values]) or (0.0, 1.0)
    pictures = [curve(values, rows, low, high, braille=braille) for values in drawn]
    ends = [_end(values, rows, low, high, 2 if braille else 1) for values in drawn]
    lines = []
    for row in range(rows):
        cells: list[Span] = [(" ", "")] * width
        for at, picture in enumerate(pictures):
            _lay(cells, picture[row], tones[at], letters[at].lower(), braille=braille)
        for at, end in enumerate(ends):
            if end is not None and end[0] == row:
                cells[min(width - 1, end[1])] = (letters[at], tones[at])
        lines.append(_joined(cells))
    return lines


def reach(curves: Sequence[Points]) -> tuple[float, float] | None:
    """From the first to the last x of all *curves*; None where there is no point."""
    known = [points for points in curves if points]
    if not known:
        return None
    low, high = min(points[0][0] for points in known), max(points[-1][0] for points in known)
    return low, max(high, low + 1e-9)


def scale(curves: Sequence[Points]) -> tuple[float, float] | None:
    """The lowest and the highest y of all *curves* that is a number."""
    values = [y for points in curves for _, y in points if math.isfinite(y)]
    return (min(values), max(values)) if values else None


def _resampled(points: Points, columns: int, span: tuple[float, float]) -> list[float | None]:
    """The mean of each column, and a straight line over columns without a point."""
    sums, counts = [0.0] * columns, [0] * columns
    for x, y in points:
        if math.isfinite(y):
            column = min(columns - 1, int((x - span[0]) / (span[1] - span[0]) * columns))
            sums[column] += y
            counts[column] += 1
    values: list[float | None] = [
        total / count if count else None for total, count in zip(sums, counts, strict=True)
    ]
    known = [at for at, value in enumerate(values) if value is not None]
    for first, last in itertools.pairwise(known):
        begin, end = values[first], values[last]
        assert begin is not None
        assert end is not None
        for at in range(first + 1, last):
            values[at] = begin + (end - begin) * (at - first) / (last - first)
    return values


def _lay(cells: list[Span], row: str, tone: str, sign: str, *, braille: bool) -> None:
    for column, character in enumerate(row):
        if character in (" ", EMPTY):
            continue
        if braille:
            below = cells[column][0]
            bits = ord(below) - 0x2800 if below >= EMPTY else 0
            cells[column] = (chr(ord(character) | bits), tone)
        else:
            cells[column] = (sign, tone)


def _end(
    values: Sequence[float | None], rows: int, low: float, high: float, per_cell: int
) -> tuple[int, int] | None:
    """(row, column) just behind a curve's last point."""
    last = max((at for at, value in enumerate(values) if value is not None), default=None)
    value = None if last is None else values[last]
    if last is None or value is None:
        return None
    share = min(1.0, max(0.0, (value - low) / (high - low)))
    return rows - max(1, math.ceil(share * rows)), last // per_cell + 1


def _joined(cells: Sequence[Span]) -> Line:
    spans: list[Span] = []
    for text, tone in cells:
        if spans and (spans[-1][1] == tone or text == " "):
            spans[-1] = (spans[-1][0] + text, spans[-1][1])
        else:
            spans.append((text, tone))
    return tuple(spans)
