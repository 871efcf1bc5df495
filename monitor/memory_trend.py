"""Where memory is going: two windows of samples and what their climb forecasts. Pure.

The rule: a forecast reaches no further than its window has earned. A quarter of a minute of climb
speaks for some minutes, a minute for ten, seven minutes of steady climb for the next half hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.budget import LEAST_CLIMB_BYTES, climb_of, slope_of

RECENT_S = 60.0
RECENT_LEAST_S = 15.0
RECENT_REACH = 10.0
"""A window of half a minute and more forecasts ten times as far ahead as it is long ..."""
SHORT_REACH = 5.0
"""... and a shorter one, which a single slow step may fill, half of that."""
SLOW_S = 600.0
SLOW_LEAST_S = 420.0
SLOW_EVERY_S = 10.0
SLOW_HORIZON_S = 2160.0
"""36 min: half an hour of lead at 0.5 GiB a minute, and some minutes to notice."""
MOST_POINTS = 18
"""Theil-Sen looks at every pair: 153 of them, some tenths of a millisecond."""
LEAST_APART_S = 0.5
"""Samples come faster when memory is short; a window has no use for more of them."""
LEAST_POINTS = 10
STEADY_SHARE = 0.4
"""Each part of a window has to rise at least so much of the whole: one step is no climb."""
STEP_FITS = 0.8
"""A line must miss the samples (squared) by no more than so many times what one step misses."""
EASE = 1.5
"""A forecast that was believed is dropped only when it lies so much beyond its horizon."""

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Point:
    """Memory at one instant."""

    at_s: float
    used: int
    run: int | None = None
    """The run's own part."""
    open: bool = True
    """Taken in a phase in which a climb is no part of the plan."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """A climb that will reach the limit if it goes on."""

    seconds: float
    climb: float
    """Bytes a second."""
    horizon_s: float
    """How far ahead its window may speak."""

    def trips(self, *, eased: bool = False) -> bool:
        """The limit lies within what the window may speak for."""
        return self.seconds <= self.horizon_s * (EASE if eased else 1.0)


@dataclass(frozen=True, slots=True)
class Windows:
    """The samples that are kept: a minute of them, and ten minutes of every tenth second."""

    recent: tuple[Point, ...] = ()
    slow: tuple[Point, ...] = ()

    def add(self, point: Point) -> Windows:
        """Return the windows with *point*, without what has become too old."""
        if self.recent and 0 <= point.at_s - self.recent[-1].at_s < LEAST_APART_S:
            return self
        recent = tuple(each for each in self.recent if each.at_s >= point.at_s - RECENT_S)
        slow = self.slow
        if not slow or point.at_s - slow[-1].at_s >= SLOW_EVERY_S:
            slow = (*(each for each in slow if each.at_s >= point.at_s - SLOW_S), point)
        return Windows((*recent, point), slow)

    def forecast(self, limit: int, *, planned: bool) -> Forecast | None:
        """The soonest forecast of both windows; with *planned* also from phases that load.

        None when nothing climbs.
        """
        recent = [(each.at_s, float(each.used)) for each in self.recent if each.open or planned]
        slow = [(each.at_s, float(each.used)) for each in self.slow if each.open or planned]
        found = [
            each
            for each in (_recent(recent, float(limit)), _slow(slow, recent, float(limit)))
            if each is not None
        ]
        tripping = [each for each in found if each.trips(eased=True)]
        return min(tripping or found, key=lambda each: each.seconds, default=None)

    def share_of_run(self, used: int, run: int | None, limit: int, baseline: int) -> float | None:
        """The part of the climb that the run explains, 0 to 1; None where its part is not known.

        Of the last ten minutes; where nothing much rose in these, of all since the run began.
        """
        if run is None:
            return None
        known = [each for each in (*self.slow, *self.recent) if each.run is not None]
        low = min(known, key=lambda each: each.used, default=None)
        if low is not None and low.run is not None and used - low.used >= LEAST_SHARE * limit:
            return _share(run - low.run, used - low.used)
        return _share(run, used - baseline)


LEAST_SHARE = 0.01
"""Of the limit: what rose less is no climb to explain."""


def _share(own: int, all_: int) -> float | None:
    return None if all_ <= 0 else min(1.0, max(0.0, own / all_))


def _recent(window: list[Pair], limit: float) -> Forecast | None:
    """The climb of the last minute or quarter of it."""
    span = _span(window)
    if span < RECENT_LEAST_S:
        return None
    short = span < 2 * RECENT_LEAST_S
    reach = SHORT_REACH if short else RECENT_REACH
    found = _forecast(window, limit, reach * min(span, RECENT_S), parts=3)
    if found is not None or short:
        return found
    # A steep climb that has just begun is no straight line together with the calm before it.
    late = [each for each in window if each[0] >= window[-1][0] - RECENT_LEAST_S]
    return _forecast(late, limit, SHORT_REACH * RECENT_LEAST_S, parts=3)


def _slow(window: list[Pair], recent: list[Pair], limit: float) -> Forecast | None:
    """The steady climb of many minutes, if it still goes on."""
    found = _slow_climb(window, limit)
    if found is None or len(recent) < LEAST_POINTS:
        return found
    still = slope_of(recent[:: -(-len(recent) // MOST_POINTS)])
    return found if still >= STEADY_SHARE * found.climb else None


def _slow_climb(window: list[Pair], limit: float) -> Forecast | None:
    if _span(window) < SLOW_LEAST_S:
        return None
    found = _forecast(window, limit, SLOW_HORIZON_S, parts=4)
    if found is not None:
        return found
    late = [each for each in window if each[0] >= window[-1][0] - SLOW_LEAST_S]
    return _forecast(late, limit, SLOW_HORIZON_S, parts=4)


def _forecast(window: list[Pair], limit: float, horizon_s: float, parts: int) -> Forecast | None:
    points = window[:: -(-len(window) // MOST_POINTS)]
    if len(points) < LEAST_POINTS or not _rises(points):
        return None
    climb = climb_of(points)
    if climb is None or not _steady(points, climb, parts) or _is_step(points):
        return None
    left = max(0.0, limit - window[-1][1])
    return Forecast(seconds=left / climb, climb=climb, horizon_s=horizon_s)


def _rises(points: Sequence[Pair]) -> bool:
    """Whether it is worth a closer look: most windows of most runs are flat."""
    third = len(points) // 3
    first, last = (sum(each[1] for each in part) for part in (points[:third], points[-third:]))
    return last - first > LEAST_CLIMB_BYTES / 2 * third


def _steady(points: Sequence[Pair], climb: float, parts: int) -> bool:
    """Every part of the window rises, so that one step between two levels is no climb."""
    size = len(points) // parts
    chunks = [points[index * size : (index + 1) * size] for index in range(parts)]
    return all(slope_of(chunk) >= STEADY_SHARE * climb for chunk in chunks)


def _is_step(points: Sequence[Pair]) -> bool:
    """One step between two levels tells the samples better than a line does.

    Noise may lift the parts before and after a step enough to look like a part of a climb.
    """
    count = len(points)
    mean_at = sum(at for at, _ in points) / count
    mean = sum(used for _, used in points) / count
    spread = sum((at - mean_at) ** 2 for at, _ in points)
    shared = sum((at - mean_at) * (used - mean) for at, used in points)
    by_line = shared * shared / spread if spread else 0.0
    by_step, before = 0.0, 0.0
    for index, (_, used) in enumerate(points[:-1], start=1):
        before += used - mean
        by_step = max(by_step, before * before * count / (index * (count - index)))
    all_ = sum((used - mean) ** 2 for _, used in points)
    return all_ - by_line > STEP_FITS * max(0.0, all_ - by_step)


def _span(window: Sequence[Pair]) -> float:
    return window[-1][0] - window[0][0] if window else 0.0
