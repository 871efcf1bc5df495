"""Lines of toned text, and how they are cut to a width. Pure: text in, text out.

Foreign text ends here: whatever a log or a name holds, what leaves `clean` can neither move the
cursor nor change a colour, because it holds printable characters and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich.cells import cell_len, set_cell_size

Span = tuple[str, str]
"""Text and its tone: "", muted, strong, good, warn, bad, accent, match."""

Line = tuple[Span, ...]

GAP = "   "
"""Between two facts on one line."""


def clean(text: str) -> str:
    """*text* with everything that is not printable replaced by a dot, and tabs by a space."""
    if text.isprintable():
        return text
    return "".join(_printable(each) for each in text)


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else "·"


def line(text: str = "", tone: str = "") -> Line:
    """A line of one span."""
    return ((text, tone),)


def width_of(spans: Line) -> int:
    """Columns that *spans* take on a terminal."""
    return sum(cell_len(text) for text, _ in spans)


def cut(text: str, width: int, ellipsis: str = "…") -> str:
    """*text* in at most *width* columns; what is cut ends in an ellipsis."""
    text = clean(text)  # what is measured is what will stand there: a dot for a control character
    if cell_len(text) <= width:
        return text
    if width <= len(ellipsis):
        return ellipsis[: max(0, width)]
    return set_cell_size(text, width - len(ellipsis)).rstrip() + ellipsis


def cut_words(text: str, width: int, ellipsis: str = "…") -> str:
    """*text* in at most *width* columns, cut between two words where that costs little of it."""
    text = clean(text)
    shown = cut(text, width, ellipsis)
    if shown == text or width <= len(ellipsis):
        return shown
    kept = shown.removesuffix(ellipsis)
    at = len(kept) if text[len(kept) : len(kept) + 1].isspace() else kept.rfind(" ")
    return shown if at < len(kept) // 2 else kept[:at].rstrip(" ,;:-(") + ellipsis


def cut_middle(text: str, width: int, ellipsis: str = "…") -> str:
    """*text* in at most *width* columns; the tail is kept, since it tells two run ids apart."""
    text = clean(text)
    if cell_len(text) <= width:
        return text
    tail = min(5, width // 2)
    if width < 6 or not text.isascii():
        return cut(text, width, ellipsis)
    return text[: width - tail - len(ellipsis)] + ellipsis + text[-tail:]


def cut_path(path: str, width: int, ellipsis: str = "…") -> str:
    """*path* in at most *width* columns: its end is kept, since that names the file."""
    if cell_len(path) <= width:
        return path
    if width <= len(ellipsis):
        return ellipsis[: max(0, width)]
    kept = path
    while kept and cell_len(kept) > width - len(ellipsis):
        kept = kept[1:]
    whole = kept.find("/")
    return ellipsis + (kept[whole:] if 0 <= whole < len(kept) // 2 else kept)


def pad(text: str, width: int, *, right: bool = False) -> str:
    """*text* filled with spaces to *width* columns; *right* aligns it to the right."""
    space = " " * max(0, width - cell_len(text))
    return space + text if right else text + space


def fit(parts: Sequence[Span], width: int, gap: str = GAP) -> Line:
    """As many of *parts*, the most important first, as *width* holds whole; never half a word."""
    spans: list[Span] = []
    used = 0
    for text, tone in parts:
        if not text:
            continue
        needed = cell_len(text) + (len(gap) if spans else 0)
        if used + needed > width:
            continue
        if spans:
            spans.append((gap, ""))
        spans.append((text, tone))
        used += needed
    return tuple(spans)


def wrap(
    text: str, width: int, rows: int, ellipsis: str = "…", *, whole: bool = False
) -> list[str]:
    """*text* broken between words into at most *rows* lines; an ellipsis stands for the rest.

    *whole*: a word wider than a row (a path) is broken as well, where it would be cut.
    """
    if rows <= 0 or width <= 0:
        return []
    wrapped: list[str] = []
    current = ""
    words = clean(text).split()
    if whole:
        words = [part for word in words for part in _parts(word, width)]
    for word in words:
        candidate = f"{current} {word}" if current else word
        if cell_len(candidate) <= width:
            current = candidate
            continue
        if current:
            wrapped.append(current)
        current = word
    if current:
        wrapped.append(current)
    if len(wrapped) > rows:
        wrapped[rows - 1 :] = [" ".join(wrapped[rows - 1 :])]
    return [cut_words(each, width, ellipsis) for each in wrapped]


def _parts(word: str, width: int) -> Iterator[str]:
    """*word*, in pieces that fit into a row: one that is wide is broken, behind a `/` or `-`."""
    while cell_len(word) > width:
        piece = cut(word, width, "")
        piece = piece[: piece.rfind("/") + 1] or piece[: piece.rfind("-") + 1] or piece
        if not piece:
            return
        yield piece
        word = word[len(piece) :]
    yield word


def spread(left: Line, right: Line, width: int) -> Line:
    """*left* and, if it fits beside it, *right* at the far edge."""
    space = width - width_of(left) - width_of(right)
    if not right or space < 2:
        return left
    return (*left, (" " * space, ""), *right)


def toned(text: str, tone: str, *layers: tuple[Sequence[tuple[int, int]], str]) -> Line:
    """*text* in one tone, and in another where the spans of a layer say so; the last one wins."""
    tones = [tone] * len(text)
    for spans, special in layers:
        for first, last in spans:
            first, last = max(0, first), min(last, len(text))
            tones[first:last] = [special] * max(0, last - first)
    found: list[Span] = []
    at = 0
    for special, each in groupby(tones):
        length = len(list(each))
        found.append((text[at : at + length], special))
        at += length
    return tuple(found)


def heading(title: str, width: int, rule: str, note: str = "") -> Line:
    """A section's title followed by a rule, so that sections need no boxes."""
    label = f"{title} "
    tail = f" {note}" if note and cell_len(label) + cell_len(note) + 5 <= width else ""
    fill = rule * max(0, width - cell_len(label) - cell_len(tail))
    return ((label, "strong"), (fill, "rule"), (tail, "muted"))


def joined(spans: Iterable[Span]) -> str:
    """The text of *spans* without its tones."""
    return "".join(text for text, _ in spans)
