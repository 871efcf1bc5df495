"""Which graphs a run's screen draws, from what is known of the run. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tui.chart_view import ChartView
from tui.curves import smoothed
from tui.graphs import iteration_axis, time_axis, usual_gap
from tui.presentation import clock, figure, pace, percent, rate, size, used_of
from tui.state import Point, RunDetail, Snapshot, is_over
from tui.widgets.graph import Series

if TYPE_CHECKING:
    from monitor.status_model import RunStatus

OVERVIEW, TRAINING, MACHINE = "overview", "training", "machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What a graph is made of: its figure's name, how its newest value reads, its fixed scale."""

    title: str
    value: Callable[[Point], float | None]
    words: Callable[[float], str]
    high: float | None = None
    label: Callable[[float], str] = figure


class SeriesMaker:
    """Makes the series of a tab anew only when what they are made of is another object."""

    def __init__(self) -> None:
        self._made_of: tuple[object, ...] = ()
        self._series: list[Series] = []

    def make(
        self, kind: str, snapshot: Snapshot, status: RunStatus | None, view: ChartView
    ) -> list[Series]:
        """The series of *snapshot*; the same list as before when nothing in them changed."""
        detail = snapshot.detail
        if detail is None:
            return []
        total = status.iteration.total if status else None
        curves = (detail.losses, detail.lrs, detail.grad_norms, detail.step_times)
        over = status is not None and is_over(status)
        limit = _limit(snapshot, status)
        read = status is not None and status.memory is not None
        lost = _lost_its_loss(status)
        made_of = (kind, view, *curves, detail.history, total, limit, over, read, lost)
        if len(self._made_of) != len(made_of) or any(
            new is not old and (isinstance(new, tuple) or new != old)
            for new, old in zip(made_of, self._made_of, strict=True)
        ):
            self._made_of = made_of
            self._series = series_of(kind, detail, snapshot, status, view)
        return self._series


def series_of(
    kind: str,
    detail: RunDetail,
    snapshot: Snapshot,
    status: RunStatus | None,
    view: ChartView | None = None,
) -> list[Series]:
    """The graphs of one tab, the most telling first; a sensor that is missing has none."""
    view = view or ChartView()
    total = status.iteration.total if status else None
    over = status is not None and is_over(status)
    if kind == TRAINING:
        shown = _training(detail, total, view, over=over)
        return [_truly(shown[0], status), *shown[1:]]
    machine = _machine(detail, snapshot, status, view)
    if kind == MACHINE:
        return machine
    loss = _by_iteration("loss", detail.losses, figure, total, view, over=over)
    return [
        _truly(loss, status),
        *[each for each in machine if each.title in ("memory", "gpu", "power", "cpu")],
    ]


def _lost_its_loss(status: RunStatus | None) -> bool:
    return status is not None and "nan-loss" in status.flags


def _truly(loss: Series, status: RunStatus | None) -> Series:
    """A curve ends with its last number; that the loss is none any more stands in its heading."""
    return replace(loss, figure="nan") if _lost_its_loss(status) else loss


def _training(detail: RunDetail, total: int | None, view: ChartView, *, over: bool) -> list[Series]:
    curves = (
        ("loss", detail.losses, figure),
        ("gradient norm", detail.grad_norms, figure),
        ("step time", detail.step_times, lambda value: f"{pace(value)} s"),
        ("learning rate", detail.lrs, rate),
    )
    return [
        _by_iteration(title, points, words, total, view, over=over, axis=True)
        for title, points, words in curves
        if points or title == "loss"
    ]


def _machine(
    detail: RunDetail, snapshot: Snapshot, status: RunStatus | None, view: ChartView
) -> list[Series]:
    limit = _limit(snapshot, status)
    over = status is not None and is_over(status)
    sources = [
        _Source(
            title="memory",
            value=lambda point: point.memory_bytes,
            words=lambda value: used_of(value, limit) if limit else size(value),
            label=size,
            high=float(limit) if limit else None,
        ),
        _Source(title="gpu", value=lambda point: point.gpu_percent, words=percent, high=100.0),
        _Source(title="power", value=lambda point: point.power_w, words=lambda at: f"{at:.0f} W"),
        _Source(
            title="clock",
            value=lambda point: point.clock_mhz,
            words=lambda value: f"{value:.0f} MHz",
        ),
        _Source(
            title="temperature",
            value=lambda point: point.temperature_c,
            words=lambda value: f"{value:.0f} °C",
        ),
        _Source(title="cpu", value=lambda point: point.cpu_percent, words=percent, high=100.0),
    ]
    shown: list[Series] = []
    for source in sources:
        series = _over_time(source, detail, snapshot.taken_wall, view, over=over)
        # A machine without a GPU shows its CPU; one with a GPU shows what the run is about.
        if series is not None and (source.title != "cpu" or not _has(shown, "gpu")):
            shown.append(series)
    # Its history begins a minute later than its reading: till then its place is kept.
    if not _has(shown, "memory") and not over and status is not None and status.memory is not None:
        shown.insert(0, Series(title="memory"))
    return shown


def _has(shown: Sequence[Series], title: str) -> bool:
    return any(each.title == title for each in shown)


def _by_iteration(
    title: str,
    points: tuple[tuple[int, float], ...],
    words: Callable[[float], str],
    total: int | None,
    view: ChartView,
    *,
    over: bool,
    axis: bool = False,
) -> Series:
    """A run that is *over* fills its graph; *axis* says its ends even where it is not zoomed."""
    if not points:
        return Series(title=title)
    newest = points[-1][0]
    end = newest if over and newest > 1 else iteration_axis(newest, total)
    left, right = view.window(1, newest, end)
    right = min(right, end)  # the window moves by steps, and the last one may reach past the end
    drawn = smoothed(points, view.weight) if view.weight else points
    seen = [value for at, value in drawn if left <= at <= right]
    spread = f"{min(seen):.2g} to {max(seen):.2g}" if seen else "nothing here"
    ends = f"iterations {left:.0f} to {right:.0f}" if axis or view.depth else ""
    return Series(
        title=title,
        figure=words(points[-1][1]),
        notes=(view.words(title), ends if view.depth else spread, spread if view.depth else ends),
        points=tuple(drawn),
        # An iteration is as wide as its share: the first one begins at the left edge.
        left=left - 1 if left <= 1 else left,
        right=right,
        log=title in view.logs,
    )


def _over_time(
    source: _Source, detail: RunDetail, now_wall: float, view: ChartView, *, over: bool
) -> Series | None:
    """A run that is *over* fills its graph: the axis need not wait for more."""
    whole = _line(detail.history, source.value)
    if not whole:
        return None
    first, newest = whole[0][0], whole[-1][0]
    axis = newest if over and newest > first else time_axis(first, newest)
    left, right = view.window(first, newest, axis)
    points = whole
    if detail.recent and left >= detail.recent[0].wall_s:
        points = _line(detail.recent, source.value) or whole
    gap = usual_gap(points)
    drawn = tuple(smoothed(points, view.weight)) if view.weight else points
    since = f"since {clock(first, now_wall)}"
    if view.depth:
        since = f"{clock(left, now_wall)} to {clock(right, now_wall)}"
    log = source.title in view.logs
    return Series(
        title=source.title,
        figure=source.words(points[-1][1]),
        notes=(view.words(source.title), since),
        points=drawn,
        left=left,
        right=right,
        gap=gap,
        low=0.0,
        high=source.high,
        label=source.label,
        log=log,
    )


def _limit(snapshot: Snapshot, status: RunStatus | None) -> int | None:
    if status is not None and status.memory is not None:
        return status.memory.limit_bytes
    return snapshot.memory_limit_bytes


def _line(
    points: Sequence[Point], value: Callable[[Point], float | None]
) -> tuple[tuple[float, float], ...]:
    return tuple((point.wall_s, known) for point in points if (known := value(point)) is not None)
