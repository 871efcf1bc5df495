"""Median and spread, without the statistics module: to import it takes longer than `status`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def median(values: Iterable[float]) -> float:
    """The middle value, or the mean of the two. Raises ValueError when there is none."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no median of nothing")
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def spread(values: Sequence[float]) -> float:
    """The standard deviation. Raises ValueError when there is no value."""
    if not values:
        raise ValueError("no spread of nothing")
    mean = sum(values) / len(values)
    total: float = sum((each - mean) ** 2 for each in values)
    return float((total / len(values)) ** 0.5)
