"""Median, mean, deviation without `statistics`: that takes longer to load than all of `status`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def median(values: Iterable[float]) -> float:
    """The middle value, or the mean of the two. Raises ValueError when there is none."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no median of nothing")
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """The mean and the standard deviation of a sample. Raises ValueError when there is none."""
    if not values:
        raise ValueError("no mean of nothing")
    mean = sum(values) / len(values)
    squares = sum((each - mean) ** 2 for each in values)
    return mean, (squares / max(1, len(values) - 1)) ** 0.5
