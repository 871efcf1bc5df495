"""Which graphs a run's screen draws, from what is known of the run. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tui.presentation import figure, percent, size, used_of
from tui.state import Point, RunDetail, Snapshot
from tui.widgets.graph import Series

if TYPE_CHECKING:
    from monitor.status_model import RunStatus


class SeriesMaker:
    """Makes the series anew only when what they are made of is another object."""

    def __init__(self) -> None:
        self._made_of: tuple[object, ...] = ()
        self._series: list[Series] = []

    def make(self, snapshot: Snapshot, status: RunStatus | None) -> list[Series]:
        """The series of *snapshot*; the same list as before when nothing in them changed."""
        detail = snapshot.detail
        if detail is None:
            return []
        total = status.iteration.total if status else None
        made_of = (detail.losses, detail.history, total, _limit(snapshot, status))
        if len(self._made_of) != len(made_of) or any(
            new is not old and (isinstance(new, tuple) or new != old)
            for new, old in zip(made_of, self._made_of, strict=True)
        ):
            self._made_of = made_of
            self._series = series_of(detail, snapshot, status)
        return self._series


def series_of(detail: RunDetail, snapshot: Snapshot, status: RunStatus | None) -> list[Series]:
    """Loss and memory first, then the GPU's, or the CPU's on a machine that has none."""
    at = detail.history[-1].wall_s if detail.history else snapshot.taken_wall
    series = [_loss(detail, status), _memory(detail, snapshot, status, at)]
    gpu = _line(detail, lambda point: point.gpu_percent)
    power = _line(detail, lambda point: point.power_w)
    if gpu:
        series.append(_over_time("gpu", percent(gpu[-1][1]), gpu, at, high=100.0))
    if power:
        series.append(_over_time("power", f"{power[-1][1]:.0f} W", power, at))
    cpu = _line(detail, lambda point: point.cpu_percent)
    if cpu and not gpu:
        series.append(_over_time("cpu", percent(cpu[-1][1]), cpu, at, high=100.0))
    return series


def _loss(detail: RunDetail, status: RunStatus | None) -> Series:
    newest = figure(detail.losses[-1][1]) if detail.losses else ""
    highest = max((loss for _, loss in detail.losses), default=None)
    lowest = min((loss for _, loss in detail.losses), default=None)
    return Series(
        title="loss",
        figure=newest,
        note=f"{lowest:.2g} to {highest:.2g}" if lowest is not None and highest is not None else "",
        points=detail.losses,
        total=status.iteration.total if status else None,
    )


def _memory(detail: RunDetail, snapshot: Snapshot, status: RunStatus | None, at: float) -> Series:
    points = _line(detail, lambda point: point.memory_bytes)
    limit = _limit(snapshot, status)
    newest = points[-1][1] if points else None
    shown = used_of(newest, limit) if newest is not None and limit else size(newest)
    return _over_time(
        "memory", shown if points else "", points, at, high=float(limit) if limit else None
    )


def _limit(snapshot: Snapshot, status: RunStatus | None) -> int | None:
    if status is not None and status.memory is not None:
        return status.memory.limit_bytes
    return snapshot.memory_limit_bytes


def _line(
    detail: RunDetail, value: Callable[[Point], float | None]
) -> tuple[tuple[float, float], ...]:
    return tuple(
        (point.wall_s, known) for point in detail.history if (known := value(point)) is not None
    )


def _over_time(
    title: str,
    newest: str,
    points: tuple[tuple[float, float], ...],
    at: float,
    high: float | None = None,
) -> Series:
    return Series(
        title=title, figure=newest, note="15 min", points=points, now_s=at, low=0.0, high=high
    )
