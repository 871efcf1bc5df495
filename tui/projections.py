"""What a smoke run projects, and how right an earlier one was, from summary.json. Pure.

Anybody may have written that file: a figure of a wrong type is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tui.presentation import duration, size

KINDS = (("naive", "naive"), ("padded", "x 1.16"), ("save_aware", "by steps and saves"))
"""Name in summary.json, and in words."""

UNKNOWN_SAVE = "save cost unknown"


def projection_lines(summary: Mapping[str, Any]) -> Iterator[str]:
    """The sentences about *summary*'s projection, or about its errors; it may have neither."""
    projection, errors = summary.get("projection"), summary.get("projection_errors")
    if isinstance(projection, Mapping):
        yield from _projected(projection)
    elif isinstance(errors, Mapping):
        yield from _held_against_the_truth(errors)


def _projected(projection: Mapping[str, Any]) -> Iterator[str]:
    iterations, saves = _number(projection.get("iterations")), _number(projection.get("saves"))
    figures = []
    for name, words in KINDS:
        seconds = _number(projection.get(f"{name}_s"))
        figures.append(UNKNOWN_SAVE if seconds is None else f"{duration(seconds)} {words}")
    evals = _number(projection.get("evals"))
    if evals:
        figures.append(f"without its {evals:.0f} evaluations")
    if iterations is not None and saves is not None:
        counted = f"{iterations:.0f} iterations and {saves:.0f} saves"
        yield f"the whole training, {counted}: {', '.join(figures)}"
    peak = _number(projection.get("peak_memory_bytes"))
    if peak is not None:
        yield f"peak memory {size(peak)}"


def _held_against_the_truth(errors: Mapping[str, Any]) -> Iterator[str]:
    figures = []
    for name, words in KINDS:
        error = _number(errors.get(name))
        figures.append(UNKNOWN_SAVE if error is None else f"{words} {100 * error:+.1f} %")
    actual, smoke = _number(errors.get("actual_s")), errors.get("smoke_run")
    took = "" if actual is None else f" of the {duration(actual)} that training took"
    source = f"smoke run {smoke}" if isinstance(smoke, str) else "its smoke run"
    yield f"{source} was off by: {', '.join(figures)}{took}"


def _number(value: object) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if known else None  # type: ignore[arg-type]  # mypy does not follow `known`
