"""One graph: a heading with the newest figure, and rows of one colour below it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rich.cells import cell_len
from textual.reactive import reactive

from tui.graphs import curve, nice_range, sampled
from tui.lines import Line, cut, heading, pad
from tui.presentation import figure as four_digits
from tui.widgets.line_view import LineView

GUTTER = 9
"""Columns of the scale at the left of a graph that has one."""
LEAST_WITH_SCALE = 36
LEAST_RULE = 6
"""Columns between title and note, with the spaces at either side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What a graph shows. Points are (place on the axis, value), ascending."""

    title: str
    figure: str = ""
    notes: tuple[str, ...] = ()
    """Scale and axis in words, the most telling first: as many as fit into the heading."""
    points: tuple[tuple[float, float], ...] = ()
    left: float = 0.0
    right: float = 1.0
    """The edges of the axis: iterations, or seconds since the epoch."""
    gap: float = math.inf
    """Points further apart than this are not joined."""
    low: float | None = None
    high: float | None = None
    """A fixed scale; None: one that fits the points."""
    label: Callable[[float], str] = four_digits
    """How a value of the scale reads."""
    log: bool = False
    """A logarithmic scale; what is not above zero has no place on it."""


class Graph(LineView):
    """Draws one series; says "no data" rather than an empty box."""

    series: reactive[Series | None] = reactive(None, repaint=False)
    scale: reactive[bool] = reactive(default=False, repaint=False)
    """Say the scale's ends beside the graph, where it is wide enough."""
    chosen: reactive[bool] = reactive(default=False, repaint=False)
    """It is the one that keys act on."""

    def watch_series(self) -> None:
        self.update_lines()

    def watch_chosen(self) -> None:
        self.update_lines()

    def lines(self, width: int, height: int) -> list[Line]:
        series = self.series
        if series is None:
            return []
        mark = f"{self.glyphs.cursor} " if self.chosen else ""
        title = f"{mark}{series.title} {series.figure}".rstrip()
        note = _fitting(series.notes, width - cell_len(title) - LEAST_RULE)
        head = heading(title, width, self.glyphs.rule, note)
        rows = height - 1
        if rows < 1 or width < 8:
            return [head]
        if not series.points:
            return [head, (("no data", "muted"),)]
        return [head, *self._draw(series, width, rows)]

    def _draw(self, series: Series, width: int, rows: int) -> list[Line]:
        gutter = GUTTER if self.scale and width >= LEAST_WITH_SCALE else 0
        braille = self.glyphs.braille
        columns = (width - gutter) * (2 if braille else 1)
        points = _on_log_scale(series.points) if series.log else series.points
        values = sampled(points, columns, series.left, series.right, series.gap)
        low, high = _scale(series, values)
        drawn = curve(values, rows, low, high, braille=braille)
        if not gutter:
            return [((row, "accent"),) for row in drawn]
        ends = _labels(series, low, high, rows)
        return [
            ((pad(cut(label, gutter - 1), gutter - 1, right=True) + " ", "muted"), (row, "accent"))
            for label, row in zip(ends, drawn, strict=True)
        ]


def _fitting(notes: tuple[str, ...], width: int) -> str:
    """As many of *notes* as *width* holds, the first of them first."""
    shown = ""
    for note in notes:
        candidate = f"{shown}, {note}" if shown else note
        if note and cell_len(candidate) <= width:
            shown = candidate
    return shown


def _on_log_scale(points: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    return [(at, math.log10(value)) for at, value in points if value > 0]


def _labels(series: Series, low: float, high: float, rows: int) -> list[str]:
    """The ends of the scale, and its middle where there is room, at their rows."""
    labels = [""] * rows
    places = {0: high, rows - 1: low} if rows > 1 else {0: high}
    if rows >= 7:
        places[(rows - 1) // 2] = (low + high) / 2
    for row, value in places.items():
        labels[row] = series.label(float(f"{10**value if series.log else value:.4g}"))
    return labels


def _scale(series: Series, values: list[float | None]) -> tuple[float, float]:
    found = nice_range(values) or (0.0, 1.0)
    if series.log:
        return found
    low = found[0] if series.low is None else series.low
    high = found[1] if series.high is None else series.high
    return low, max(high, low + 1e-9)
