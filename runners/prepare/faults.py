"""What is wrong with tokenised rows. The check before a launch and the stage itself agree on it."""

from __future__ import annotations

from collections.abc import Sequence

from runners.prepare.tokens import Tokens

CUT_LIMIT = 0.01
"""More than this share of rows over the sequence limit is a corpus that does not fit the recipe."""
SHOWN_LINES = 10

LOST_THINK = "</think> is lost"
LOST_END = "the end-of-sequence token is lost"


def fault(tokens: Tokens) -> str | None:
    """Return what the row loses that it must not lose, or None."""
    if tokens.lost_think:
        return LOST_THINK
    return LOST_END if tokens.lost_end else None


def too_long(rows: int, long: int, lines: Sequence[int], sequence_length: int, was: str) -> str:
    """Say that *long* of *rows* rows, the first at *lines*, did not fit and what became of them."""
    return (
        f"{long} of {rows} rows are longer than {sequence_length} tokens and {was} "
        f"({in_lines(lines, long)})"
    )


NONE_LEFT = "; none is left: raise model.sequence_length, or shorten the rows"


def too_many(rows: int, long: int) -> str | None:
    """What to add where more rows did not fit than may be left out unasked; else None."""
    if long <= CUT_LIMIT * rows:
        return None
    return (
        f"; at most {CUT_LIMIT:.0%} may be: raise model.sequence_length, shorten the rows, or set "
        'data.too_long = "drop-any"'
    )


def remedy(sequence_length: int) -> str:
    """Say what to do about rows that do not fit."""
    return (
        f"model.sequence_length is {sequence_length}: raise it, shorten the rows, or leave them "
        'out with data.too_long = "drop"'
    )


def in_lines(lines: Sequence[int], count: int | None = None) -> str:
    """Return "line 3" or "lines 3, 5, 8 and 12 more" for *count* lines of which some are known."""
    total = len(lines) if count is None else count
    shown = ", ".join(str(line) for line in lines[:SHOWN_LINES])
    more = total - min(len(lines), SHOWN_LINES)
    return f"line{'s' if total > 1 else ''} {shown}" + (f" and {more} more" if more else "")
