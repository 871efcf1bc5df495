"""From a smoke run to the wall time of the whole. Pure.

Three figures, because each has been wrong in its own way: the naive one ignores checkpoints, the
padded one multiplies it by what an article measured, the save-aware one counts the saves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

PAD = 1.16
"""Field notes on one DGX Spark, both lanes: smoke runs of 10 and 50 steps fell 16 to 18 % short of
the whole run, because they hardly saw a checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeResult:
    """What a smoke run measured, in seconds."""

    step_s: float
    """Median of the steps after the first."""
    first_save_s: float | None = None
    later_save_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Wall time of the training of the whole run, in seconds."""

    iterations: int
    saves: int
    naive_s: float
    padded_s: float
    save_aware_s: float | None
    """None: the cost of a save is not known, since no save was seen."""


def project(smoke: SmokeResult, *, iterations: int, save_interval: int) -> Projection:
    """Return how long *iterations* steps take, with a checkpoint every *save_interval* and at the
    end."""
    saves = math.ceil(iterations / save_interval)
    naive = iterations * smoke.step_s
    return Projection(
        iterations=iterations,
        saves=saves,
        naive_s=naive,
        padded_s=naive * PAD,
        save_aware_s=_save_aware(smoke, naive, saves),
    )


def _save_aware(smoke: SmokeResult, naive_s: float, saves: int) -> float | None:
    first = smoke.first_save_s
    if first is None:
        return None
    later = smoke.later_save_s if smoke.later_save_s is not None else first
    return naive_s + first + (saves - 1) * later


def relative_error(projected_s: float | None, actual_s: float | None) -> float | None:
    """(projected - actual) / actual: -0.16 means that the projection was 16 % short."""
    if projected_s is None or actual_s is None or actual_s <= 0:
        return None
    return (projected_s - actual_s) / actual_s
