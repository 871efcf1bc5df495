"""Long series kept short: whatever a run's length, a curve is some hundred means. Pure.

The rule: adding a value costs the same on the last day as on the first, and nothing grows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import fields

from tui.state import Point

MOST = 1024
"""Buckets of a curve: more than any terminal has dots in a row."""

Pairs = tuple[tuple[int, float], ...]


class IterationCurve:
    """Values by iteration, ascending; each bucket is the mean of equally many iterations."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._width = 1
        self._buckets: list[tuple[int, float, int]] = []
        """(number of the bucket, sum, count)"""
        self._means: list[tuple[int, float]] = []
        """What is shown of each bucket."""
        self._shown: Pairs | None = None

    def add(self, iteration: int, value: float | None) -> None:
        """Take in a value; what is not finite leaves a gap, and an older place is taken back to."""
        if iteration < 0:
            return
        number = iteration // self._width
        buckets = self._buckets
        if buckets and buckets[-1][0] > number:
            self.cut(iteration)
        if value is None or not math.isfinite(value):
            return
        self._shown = None
        if buckets and buckets[-1][0] == number:
            _, total, count = buckets[-1]
            buckets[-1] = (number, total + value, count + 1)
            # It may not be full yet: it stands at its newest iteration.
            self._means[-1] = (iteration, (total + value) / (count + 1))
            return
        if buckets:
            self._means[-1] = self._mean(buckets[-1])
        buckets.append((number, value, 1))
        self._means.append((iteration, value))
        if len(buckets) > self._most:
            self._halve(iteration)

    def cut(self, iteration: int) -> None:
        """Forget *iteration* and what follows: a later attempt trains it again."""
        number = iteration // self._width
        while self._buckets and self._buckets[-1][0] >= number:
            self._buckets.pop()
            self._means.pop()
        self._shown = None

    @property
    def pairs(self) -> Pairs:
        """(iteration, mean value); the same object until something was added."""
        if self._shown is None:
            self._shown = tuple(self._means)
        return self._shown

    def _mean(self, bucket: tuple[int, float, int]) -> tuple[int, float]:
        """A full bucket stands at its last iteration."""
        number, total, count = bucket
        return (number + 1) * self._width - 1, total / count

    def _halve(self, newest: int) -> None:
        self._width *= 2
        merged: list[tuple[int, float, int]] = []
        for number, total, count in self._buckets:
            if merged and merged[-1][0] == number // 2:
                _, before, many = merged[-1]
                merged[-1] = (number // 2, before + total, many + count)
            else:
                merged.append((number // 2, total, count))
        self._buckets = merged
        self._means = [self._mean(each) for each in merged]
        self._means[-1] = (newest, self._means[-1][1])


class TimeCurve:
    """Points over time: whole past as means, memory as its peak; neighbours merge when many."""

    def __init__(self, step_s: float, most: int = MOST) -> None:
        self._step_s = step_s
        self._most = most
        self._points: list[Point] = []

    def fill(self, points: Iterable[Point]) -> None:
        """Begin with a past that was read, ascending; it sets the step."""
        self._points = list(points)
        while len(self._points) > 2 and self._step_s < (
            (self._points[-1].wall_s - self._points[0].wall_s) / len(self._points)
        ):
            self._step_s *= 2

    def add(self, point: Point) -> None:
        """Take in the newest point; points of one step become one."""
        points = self._points
        if points and int(points[-1].wall_s / self._step_s) >= int(point.wall_s / self._step_s):
            points[-1] = _joined(points[-1], point)
            return
        points.append(point)
        if len(points) > self._most:
            self._step_s *= 2
            self._points = _thinned(points, self._step_s)

    @property
    def points(self) -> tuple[Point, ...]:
        """All of the past, oldest first."""
        return tuple(self._points)


def _thinned(points: Sequence[Point], step_s: float) -> list[Point]:
    merged: list[Point] = []
    for point in points:
        if merged and int(merged[-1].wall_s / step_s) == int(point.wall_s / step_s):
            merged[-1] = _joined(merged[-1], point)
        else:
            merged.append(point)
    return merged


_FIGURES = tuple(each.name for each in fields(Point) if each.name != "wall_s")


def _joined(old: Point, new: Point) -> Point:
    """The middle of two points; of memory the higher one. It stands where the newer one does."""
    values: dict[str, float | None] = {}
    for name in _FIGURES:
        before, after = getattr(old, name), getattr(new, name)
        if before is None or after is None:
            values[name] = after if before is None else before
        elif name == "memory_bytes":
            values[name] = max(before, after)
        else:
            values[name] = (before + after) / 2
    return Point(wall_s=new.wall_s, **values)


def smoothed(values: Sequence[tuple[float, float]], weight: float) -> list[tuple[float, float]]:
    """*values* as an exponential mean: *weight* (0 to 1) is what the past counts."""
    if weight <= 0:
        return list(values)
    shown: list[tuple[float, float]] = []
    mean, known = 0.0, 0.0
    for at, value in values:
        mean = weight * mean + (1 - weight) * value
        known = weight * known + (1 - weight)
        # Divided by what is known so far: else a curve would begin at zero.
        shown.append((at, mean / known))
    return shown
