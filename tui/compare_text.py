"""A comparison of runs in words: as a table of a terminal, and as Markdown. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from runners.compare.facts import Curve, RunFacts
from runners.compare.judge import Weight
from runners.compare.table import Comparison, Row
from tui.presentation import UNKNOWN, duration, figure, pace, size

__all__ = [
    "Comparison",
    "Curve",
    "Row",
    "RunFacts",
    "Weight",
    "cells",
    "delta_text",
    "difference_values",
    "letter",
    "markdown_lines",
    "text_lines",
    "value_text",
]
"""Widgets show these values and import no runners."""

FORMS: Mapping[str, Callable[[float], str]] = {
    "count": lambda value: f"{value:.0f}",
    "seconds": duration,
    "pace": pace,
    "rate": lambda value: f"{value:.0f}",
    "loss": figure,
    "bytes": size,
    "celsius": lambda value: f"{value:.0f} °C",
    "watt": lambda value: f"{value:.0f} W",
    "watthour": lambda value: f"{value:.0f} Wh",
    "minutes": lambda value: f"{value:.0f} min",
    "share": lambda value: f"{100 * value:+.1f} %",
}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MOST_RUNS = 6
"""Beside each other on a screen; the command line takes more."""


def letter(number: int) -> str:
    """What a run is called in a table: A, B ..."""
    return LETTERS[number] if number < len(LETTERS) else f"#{number + 1}"


def value_text(value: float | None, unit: str) -> str:
    """One figure; an en dash where it is not known."""
    return UNKNOWN if value is None else FORMS[unit](value)


def delta_text(row: Row, number: int) -> str:
    """How far the run *number* (1: the second) is from the first: +1h 2m (+12 %).

    A delta that would be written as nothing is its percentage alone: saves of 62 and 54 ms.
    """
    delta, percent = row.deltas[number - 1], row.percents[number - 1]
    if delta is None or not math.isfinite(delta):
        return UNKNOWN
    if row.unit == "share":
        return f"{100 * delta:+.1f} points"
    form = FORMS[row.unit]
    if delta == 0 or _alike(row, number):
        return "same"
    shown = form(abs(delta))
    share = 0.0 if percent is None else round(percent, 1)
    if shown == form(0.0):  # finer than the unit is written: "-0.0s" would be no figure
        return f"{share:+.1f} %" if share else "same"
    sign = "+" if delta > 0 else "-"
    return f"{sign}{shown}" + ("" if percent is None else f" ({percent:+.1f} %)")


def _alike(row: Row, number: int) -> bool:
    """They are written alike, and their difference in percent would be 0.0."""
    first, other = (value_text(row.values[at], row.unit) for at in (0, number))
    return first == other and not round(row.percents[number - 1] or 1.0, 1)


def difference_values(values: Sequence[Any]) -> list[str]:
    """The values of a difference, an en dash for what is not known."""
    return [UNKNOWN if value is None else _said(value) for value in values]


def cells(comparison: Comparison) -> list[list[str]]:
    """The table: a heading, then a list of texts for each row."""
    count = len(comparison.runs)
    heading = ["", *(letter(at) for at in range(count))]
    heading += [f"{letter(at)} - A" for at in range(1, count)]
    return [
        heading,
        *(
            [
                row.label,
                *(value_text(value, row.unit) for value in row.values),
                *(delta_text(row, at) for at in range(1, count)),
            ]
            for row in comparison.rows
        ),
    ]


def text_lines(comparison: Comparison) -> Iterator[str]:
    """What `lanewatch compare` prints."""
    for at, run in enumerate(comparison.runs):
        facts = ", ".join(each for each in (run.lane, run.engine, run.kind, run.status) if each)
        name = f"{run.name}  " if run.name else ""
        yield _printable(f"{letter(at)}  {name}{run.run}  {facts}")
    yield f"comparable? {_printable(comparison.sentence)}"
    for each in comparison.differences:
        values = " | ".join(difference_values(each.values))
        yield _printable(f"  {each.weight:<8} {each.what}: {values}")
    yield ""
    table = cells(comparison)
    widths = [max(len(line[at]) for line in table) for at in range(len(table[0]))]
    for line in table:
        first, *others = line
        parts = [first.ljust(widths[0])]
        parts += [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        yield "  ".join(parts).rstrip()
    for run in comparison.runs:
        for problem in run.problems:
            yield _printable(f"unreadable  {run.run}: {problem}")


def markdown_lines(comparison: Comparison) -> Iterator[str]:
    """What `lanewatch compare --md` prints."""
    yield f"**Comparable?** {_escaped(comparison.sentence)}"
    yield ""
    yield "| | run | lane | engine | ended |"
    yield "|---|---|---|---|---|"
    for at, run in enumerate(comparison.runs):
        facts = (run.label, run.lane, run.engine, run.status)
        yield _md_row([letter(at), *(each or UNKNOWN for each in facts)])
    if comparison.differences:
        yield ""
        yield _md_row(["what", "weight", *(letter(at) for at in range(len(comparison.runs)))])
        yield "|---" * (2 + len(comparison.runs)) + "|"
        for each in comparison.differences:
            yield _md_row([each.what, each.weight, *difference_values(each.values)])
    yield ""
    heading, *rows = cells(comparison)
    yield _md_row(heading)
    yield "|---" + "|---:" * (len(heading) - 1) + "|"
    for line in rows:
        yield _md_row(line)


def _md_row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(_escaped(each) for each in texts)} |"


def _printable(text: str) -> str:
    """As `tui.lines.clean`, which would load a drawing library into a command that only prints."""
    return "".join(each if each.isprintable() else "·" for each in text)


def _escaped(text: str) -> str:
    """Foreign text as text: a name can neither end a cell nor be a link or a tag."""
    shown = _printable(text)
    for sign in "\\|<>[]*`_":
        shown = shown.replace(sign, f"\\{sign}")
    return shown


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
