"""Remember what a run's own GPU draws: while it trains, and in the last minutes. Pure.

The rule: only power drawn while iterations advanced counts as work. What a hang draws waits until
the next iteration says whether it was one, so that a night of hanging teaches nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.frozen import replace
from monitor.learnt import Power
from monitor.middle import spread

WINDOW_S = 180.0
"""Rule 6: so long must power be low and flat before a hang is called spinning."""
EVERY_S = 6.0
"""A value of the window every so often: thirty of them are enough for a spread."""
PENDING = 32
COMMITTED = 8
"""Values that one iteration adds at most: a slow one must not outweigh a hundred fast ones."""


@dataclass(frozen=True, slots=True)
class RecentPower:
    """The last three minutes; all None until so long was seen without a break."""

    watts: float | None = None
    """The largest."""
    spread_w: float | None = None
    busy_percent: float | None = None
    """The lowest utilisation."""


def learn_power(
    power: Power,
    sight: tuple[float, float | None] | None,
    *,
    at: float,
    fresh: bool,
    iterating: bool,
    advanced: bool,
) -> Power:
    """Return *power* after one more look; *sight* is (watts, percent), None where not known.

    *fresh*: nobody looked for a while, so the window begins anew. *advanced*: an iteration ended.
    """
    recent = () if fresh or sight is None else power.recent
    if sight is not None and (not recent or at - recent[-1][0] >= EVERY_S):
        recent = (*_window(recent, at), (at, *sight))
    pending, working = power.pending, power.working
    if sight is not None and iterating:
        pending = (*pending, sight[0])
        pending = pending[::2] if len(pending) > PENDING else pending
    if advanced:
        for watts in pending[:: max(1, len(pending) // COMMITTED)]:
            working = working.add(watts)
        pending = ()
    if recent is power.recent and pending is power.pending and not advanced:
        return power
    return replace(power, recent=recent, pending=pending, working=working)


def _window(
    recent: tuple[tuple[float, float, float | None], ...], at: float
) -> tuple[tuple[float, float, float | None], ...]:
    """What is needed to know three minutes: one that is older stays, looks may lie far apart."""
    first = 0
    while first + 1 < len(recent) and at - recent[first + 1][0] >= WINDOW_S - EVERY_S:
        first += 1
    return recent[first:]


def recent_power(power: Power) -> RecentPower:
    """Sum up the window."""
    recent = power.recent
    if len(recent) < 2 or recent[-1][0] - recent[0][0] < WINDOW_S - EVERY_S:
        return RecentPower()
    watts = [each[1] for each in recent]
    busy = [each[2] for each in recent if each[2] is not None]
    lowest = min(busy) if len(busy) == len(recent) else None
    return RecentPower(max(watts), spread(watts), lowest)
