"""What a log's line looks like: its level, and the rows that it takes. Pure."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import cache

from rich.cells import cell_len, chop_cells

_ERROR = (
    r"\b(?:ERROR|CRITICAL|FATAL|FAILED)\b|^Traceback \(most recent call last\)"
    r"|^(?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt)\b(?::|$)|\[NeMo E |^E\d{4} "
)
_WARNING = r"\bWARN(?:ING)?\b|\b\w+Warning:|\[NeMo W |^W\d{4} "
_INFO = r"\bINFO\b|\[NeMo I |^I\d{4} "
HEAD = 400
"""A level stands near the beginning of a line."""

_ESCAPED = r"\\."
_SIGNS = frozenset(".^$*+?{}[]\\|()")

TONES = {"error": "bad", "warning": "warn"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row on the screen: a line, or a part of one that is wrapped."""

    line: int
    """Where its line begins in the file."""
    begin: int
    """Characters of the line before this row."""
    text: str
    level: str


def level_of(text: str) -> str:
    """error, warning, info, or nothing that can be told."""
    head = text[:HEAD]
    error, warning, info = _levels()
    if error.search(head):
        return "error"
    if warning.search(head):
        return "warning"
    return "info" if info.search(head) else ""


@cache
def _levels() -> tuple[re.Pattern[str], ...]:
    """Compiled when the first line is shown: a run's first frame shows none of its log."""
    return re.compile(_ERROR), re.compile(_WARNING), re.compile(_INFO)


def info_word(text: str) -> tuple[int, int] | None:
    """Where the word that says INFO stands."""
    found = _levels()[2].search(text[:HEAD])
    return found.span() if found else None


def rows_of(line: int, text: str, width: int, *, wrap: bool, left: int = 0) -> list[Row]:
    """The rows of a line in *width* columns; unwrapped, the one row from the column *left* on."""
    level = level_of(text)
    if not wrap:
        return [Row(line, left, text[left:], level)]
    rows: list[Row] = []
    begin = 0
    for part in _parts(text, max(1, width)):
        rows.append(Row(line, begin, part, level))
        begin += len(part)
    return rows


def _parts(text: str, width: int) -> list[str]:
    if text.isascii():
        return [text[at : at + width] for at in range(0, max(1, len(text)), width)]
    return chop_cells(text, width) if cell_len(text) > width else [text]


def compiled(pattern: str) -> re.Pattern[str]:
    """*pattern*, in any case of letters unless it holds a capital. Raises re.error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a set that a later Python may read otherwise
        letters = re.sub(_ESCAPED, "", pattern)  # \S is no capital
        return re.compile(pattern, 0 if any(map(str.isupper, letters)) else re.IGNORECASE)


def complaint(pattern: str) -> str | None:
    """What is wrong with *pattern*, as one sentence; None when it can be searched for."""
    try:
        compiled(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        why = getattr(error, "msg", None) or str(error) or "too deep"
        place = getattr(error, "pos", None)
        where = "" if place is None else f" at character {place + 1}"
        return f"not a regular expression: {why}{where}; put \\ before a sign to mean the sign"
    return None


def plain_word(pattern: str) -> str | None:
    """*pattern* if it means itself and nothing else: such a one is found faster."""
    meant = pattern.isascii() and pattern.isprintable() and not _SIGNS & set(pattern)
    return pattern if pattern and meant else None
