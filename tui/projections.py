"""What a smoke run projects, and how right an earlier one was, from summary.json. Pure.

Anybody may have written that file: a figure of a wrong type is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tui.presentation import duration, size

KINDS = (("naive", "naive"), ("padded", "x 1.16"), ("save_aware", "by steps and saves"))
"""Name in summary.json, and in words."""

MOST = 1e15
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
        figures.append(_unknown(name) if seconds is None else f"{duration(seconds)} {words}")
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
        figures.append(_unknown(name) if error is None else f"{words} {100 * error:+.1f} %")
    actual, smoke = _number(errors.get("actual_s")), errors.get("smoke_run")
    took = "" if actual is None else f" of the {duration(actual)} that training took"
    evals_s = _number(errors.get("evals_s"))
    if took and evals_s:
        took += f", {duration(evals_s)} of them for evaluations, which it left out"
    source = f"smoke run {smoke}" if isinstance(smoke, str) else "its smoke run"
    yield f"{source} was off by: {', '.join(figures)}{took}"


def _unknown(name: str) -> str:
    return UNKNOWN_SAVE if name == "save_aware" else f"{dict(KINDS)[name]} unknown"


def _number(value: object) -> float | None:
    """A number that can be told to anybody: finite, and of this world."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -MOST < value < MOST else None
