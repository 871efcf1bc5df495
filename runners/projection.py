"""From a smoke run to the wall time of the whole. Pure.

Three figures, because each has been wrong in its own way: the naive one ignores checkpoints, the
padded one multiplies it by what an article measured, the save-aware one counts the saves. All three
are of the training loop alone: loading comes before it, and a smoke run evaluates never.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.pace import PAD, remaining_evals, remaining_saves


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
    evals: int = 0
    """In none of the three figures."""


def project(
    smoke: SmokeResult, *, iterations: int, save_interval: int, eval_interval: int | None = None
) -> Projection:
    """Return how long *iterations* steps take, with a checkpoint every *save_interval* and at the
    end."""
    saves = remaining_saves(0, iterations, save_interval)
    naive = iterations * smoke.step_s
    return Projection(
        iterations=iterations,
        saves=saves,
        naive_s=naive,
        padded_s=naive * PAD,
        save_aware_s=_save_aware(smoke, naive, saves),
        evals=remaining_evals(0, iterations, eval_interval),
    )


def _save_aware(smoke: SmokeResult, naive_s: float, saves: int) -> float | None:
    first = smoke.first_save_s
    if first is None:
        return None
    later = smoke.later_save_s if smoke.later_save_s is not None else first
    return naive_s + first + (saves - 1) * later


def relative_error(projected_s: float | None, actual_s: float | None) -> float | None:
    """(projected - actual) / actual: -0.14 means that 14 % of the truth was missing.

    The article's "16 %" is the same gap over the projection: 20,280 / 17,500 - 1.
    """
    if projected_s is None or actual_s is None or actual_s <= 0:
        return None
    return (projected_s - actual_s) / actual_s
