"""One graph: a heading with the newest figure, and rows of one colour below it."""

from __future__ import annotations

from dataclasses import dataclass

from textual.reactive import reactive

from tui.graphs import by_iteration, by_time, curve, iteration_axis, nice_range
from tui.lines import Line, heading
from tui.widgets.line_view import LineView

SPAN_S = 900.0
"""Seconds of history in a graph over time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What a graph shows. Points are (seconds, value) or, for a loss, (iteration, value)."""

    title: str
    figure: str = ""
    note: str = ""
    """The scale, at the far end of the heading."""
    points: tuple[tuple[float, float], ...] = ()
    now_s: float | None = None
    """The right edge of a graph over time; None: the points are by iteration."""
    total: int | None = None
    """Iterations expected."""
    low: float | None = None
    high: float | None = None
    """A fixed scale; None: one that fits the points."""


class Graph(LineView):
    """Draws one series; says "no data yet" rather than an empty box."""

    series: reactive[Series | None] = reactive(None, repaint=False)

    def watch_series(self) -> None:
        self.update_lines()

    def lines(self, width: int, height: int) -> list[Line]:
        series = self.series
        if series is None:
            return []
        head = heading(
            f"{series.title} {series.figure}".rstrip(), width, self.glyphs.rule, series.note
        )
        rows = height - 1
        if rows < 1 or width < 8:
            return [head]
        if not series.points:
            return [head, (("no data yet", "muted"),)]
        return [head, *(((row, "accent"),) for row in self._draw(series, width, rows))]

    def _draw(self, series: Series, width: int, rows: int) -> list[str]:
        braille = self.glyphs.braille
        columns = width * 2 if braille else width
        if series.now_s is not None:
            values = by_time(series.points, columns, SPAN_S, series.now_s)
            low, high = _scale(series, values)
            return curve(values, rows, low, high, braille=braille)
        points = [(int(at), value) for at, value in series.points]
        last = iteration_axis(max(at for at, _ in points), series.total)
        values = by_iteration(points, min(last, columns), last)
        if len(values) < columns:
            values = [value for value in values for _ in range(columns // len(values))]
        low, high = _scale(series, values)
        return curve(values, rows, low, high, braille=braille)


def _scale(series: Series, values: list[float | None]) -> tuple[float, float]:
    found = nice_range(values) or (0.0, 1.0)
    low = found[0] if series.low is None else series.low
    high = found[1] if series.high is None else series.high
    return low, max(high, low + 1e-9)
