"""A verdict and its reason as rows. Pure: used before the first frame, too, so it loads little."""

from __future__ import annotations

from tui.glyphs import TONES, Glyphs
from tui.lines import Line, joined, wrap
from tui.presentation import age, ago, steady


def least_rows(height: int) -> int:
    """Rows that a verdict has at least on a run's screen of *height* rows."""
    return 1 if height < 8 else 2


def verdict_label(
    verdict: str, since_wall: float | None, now_wall: float, glyphs: Glyphs, *, over: bool
) -> Line:
    """Glyph and word, and since when; *over*: how long ago the run ended."""
    word = f"{glyphs.verdict(verdict)} {verdict}"
    if since_wall is None or now_wall <= 0:
        return ((word, TONES[verdict]), (":", "muted"))
    since = age(ago(since_wall, now_wall))
    dated = f" {since} ago:" if over else f" for {since}:"
    return ((word, TONES[verdict]), (dated, "muted"))


def verdict_rows(label: Line, reason: str, width: int, rows: int, glyphs: Glyphs) -> list[Line]:
    """*label* and *reason* in at most so many *rows* of *width* columns."""
    head = joined(label)
    reason = steady(reason) or "no reason given"
    body = wrap(f"{head} {reason}", width, rows, glyphs.ellipsis)
    if not body or not body[0].startswith(head):
        return [((each, ""),) for each in body]
    first: Line = (*label, (body[0][len(head) :], ""))
    return [first, *(((each, ""),) for each in body[1:])]
