"""What is left of one kind: how many there are, what each costs, and how well that is known. Pure.

The rule: each differs by itself, so that many even out; an error of their mean is common to all and
does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.middle import spread
from monitor.model import Spread

USUAL_SPREAD = 0.3
"""Deviation over mean of a duration of which few were seen yet; it counts as two of them."""
USUAL_COUNT = 2


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one of several: its mean, its deviation, and the deviation of the mean itself."""

    mean_s: float
    deviation_s: float
    doubt_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A share of what is left; `lower_s` and `higher_s` widen the range beyond its variance."""

    seconds: float = 0.0
    variance: float = 0.0
    lower_s: float = 0.0
    higher_s: float = 0.0
    unknown: str | None = None


def spread_of(values: Sequence[float]) -> Spread | None:
    """Mean and deviation of *values*; None where there are none."""
    if not values:
        return None
    mean = sum(values) / len(values)
    return Spread(mean_s=mean, deviation_s=spread(values), count=len(values))


def cost_of(spread: Spread) -> Cost:
    """Few measurements know neither their mean nor their spread: the usual spread is mixed in."""
    known = max(0, spread.count - 1)
    usual = (USUAL_SPREAD * spread.mean_s) ** 2
    mixed = (USUAL_COUNT * usual + known * spread.deviation_s**2) / (USUAL_COUNT + known)
    deviation = math.sqrt(mixed)
    return Cost(spread.mean_s, deviation, deviation / math.sqrt(spread.count))


def several(count: int, cost: Cost) -> Part:
    """*count* of them."""
    variance = count * cost.deviation_s**2 + (count * cost.doubt_s) ** 2
    return Part(seconds=count * cost.mean_s, variance=variance)
