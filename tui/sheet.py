"""What stands on the terminal, so that no more is sent than what differs from it.

The rule: a cell is known once it was written and nobody else has been at the terminal since; what
is not known is written again. Colours are changed, not repeated: the sequence of one takes up to
forty bytes, its text mostly a few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style
from textual.strip import Strip

_DRAWN = (*range(0x20, 0x7F), *range(0x2500, 0x2600), *range(0x2800, 0x2900), *b"\xb7")
_ONE_COLUMN = frozenset([*map(chr, _DRAWN), "–", "…"])  # noqa: RUF001
"""Characters that are sure to take a column: what the screens themselves draw with."""

UNKNOWN = "\0"
"""In place of a cell's character: whatever is to stand there is written."""
NEAR_BYTES = 7
"""What is written again sooner than a place of its own for what follows it."""
SEEN_ON_BLANK = frozenset(["4", "7", "9", "21", "51", "52", "53"])
"""Underlined, reversed, struck out and the like: they show on a space too."""
COLOUR_OFF, GROUND_OFF = "39", "49"


def is_even(text: str) -> bool:
    """True where each character of *text* takes a column."""
    return _ONE_COLUMN.issuperset(text) or all(cell_len(each) == 1 for each in text)


class Ink(NamedTuple):
    """What a style is to a terminal, in parameters of its SGR sequence; "" is the default."""

    attributes: tuple[str, ...] = ()
    colour: str = ""
    ground: str = ""
    bare: bool = True
    """Of a space it shows the ground alone."""

    def looks_like(self, other: Ink, text: str) -> bool:
        """True where *text* cannot be told apart in the two."""
        if self is other or self == other:
            return True
        return self.ground == other.ground and self.bare and other.bare and text.isspace()


Span = tuple[str, Ink]

PLAIN = Ink()


class Piece(NamedTuple):
    """A part of row *y*, from column *x* on, that is to look like *strip*."""

    x: int
    y: int
    strip: Strip


class Sheet:
    """The cells of a terminal, as far as they are known."""

    def __init__(self) -> None:
        self._size = (0, 0)
        self._text: list[str] = []
        self._inks: list[list[Ink]] = []

    def forget(self) -> None:
        """Others may have written to the terminal, or it has another size: nothing is known."""
        width, height = self._size
        self._text = [UNKNOWN * width] * height
        self._inks = [[PLAIN] * width for _ in range(height)]

    def write(
        self, pieces: Iterable[Piece], size: tuple[int, int], colours: ColorSystem | None
    ) -> str:
        """What has to be sent for *pieces* to be seen on a terminal of *size* (columns, rows)."""
        if size != self._size:
            self._size = size
            self.forget()
        pen = _Pen()
        for x, y, strip in pieces:
            if 0 <= x < size[0] and 0 <= y < size[1]:
                spans = [
                    (text, _ink(style, colours or ColorSystem.TRUECOLOR) if style else PLAIN)
                    for text, style, control in strip
                    if text and not control
                ]
                self._put(pen, x, y, spans)
        return pen.lift()

    def _put(self, pen: _Pen, x: int, y: int, spans: list[Span]) -> None:
        text = "".join(each for each, _ in spans)
        end = x + len(text)
        if end > self._size[0] or not is_even(text):
            self._put_odd(pen, x, y, spans)
            return
        inks: list[Ink] = []
        for part, ink in spans:
            inks += [ink] * len(part)
        was, worn = self._text[y], self._inks[y]
        for first, last in _runs(was[x:end], text, worn[x:end], inks):
            pen.move(x + first, y)
            for part, ink in _within(spans, first, last):
                pen.put(part, ink)
            pen.x = x + last
        self._text[y] = was[:x] + text + was[end:]
        worn[x:end] = inks

    def _put_odd(self, pen: _Pen, x: int, y: int, spans: list[Span]) -> None:
        """Text whose width the terminal alone knows: nothing from there on is known in its row."""
        pen.move(x, y)
        for text, ink in spans:
            pen.put(text, ink)
        pen.x = None
        left = self._size[0] - x
        self._text[y] = self._text[y][:x] + UNKNOWN * left
        self._inks[y][x:] = [PLAIN] * left


class _Pen:
    """Writes at places in colours, and says of both only what changes."""

    def __init__(self) -> None:
        self._written: list[str] = []
        self._ink = PLAIN
        self._y = -1
        self.x: int | None = None
        """The column it is at; None: not known."""

    def move(self, x: int, y: int) -> None:
        """Go to a place, where it is not there already."""
        if (x, y) != (self.x, self._y):
            self._written.append(f"\x1b[{y + 1};{x + 1}H")
            self._y = y

    def put(self, text: str, ink: Ink) -> None:
        """Write *text*; the caller says where that has led to."""
        if not ink.looks_like(self._ink, text):
            self._written.append(_change(self._ink, ink))
            self._ink = ink
        self._written.append(text)

    def lift(self) -> str:
        """All that was written; what is written next begins with plain colours."""
        if self._ink != PLAIN:
            self._written.append("\x1b[0m")
        return "".join(self._written)


@lru_cache(maxsize=1024)
def _ink(style: Style, colours: ColorSystem) -> Ink:
    """*style* as a terminal of so many *colours* is told of it."""
    told = Strip.render_ansi(style, colours)
    colour, ground = style.color, style.bgcolor
    colour_told = ";".join(colour.downgrade(colours).get_ansi_codes()) if colour else ""
    ground_told = ";".join(ground.downgrade(colours).get_ansi_codes(False)) if ground else ""
    for each in (ground_told, colour_told):
        told = told.removesuffix(each).removesuffix(";")
    attributes = tuple(told.split(";")) if told else ()
    return Ink(attributes, colour_told, ground_told, SEEN_ON_BLANK.isdisjoint(attributes))


def _change(old: Ink, new: Ink) -> str:
    """The sequence from one ink to another."""
    if set(old.attributes) <= set(new.attributes):
        told = [each for each in new.attributes if each not in old.attributes]
        if new.colour != old.colour:
            told.append(new.colour or COLOUR_OFF)
        if new.ground != old.ground:
            told.append(new.ground or GROUND_OFF)
    else:
        told = ["0", *(each for each in (*new.attributes, new.colour, new.ground) if each)]
    return f"\x1b[{';'.join(told)}m"


def _runs(was: str, text: str, worn: list[Ink], inks: list[Ink]) -> list[tuple[int, int]]:
    """First and last column (exclusive) of what differs; two of them that lie near are one."""
    if was == text and worn == inks:
        return []
    if was.count(UNKNOWN) == len(was):
        return [(0, len(text))]
    runs: list[tuple[int, int]] = []
    end = -1
    for at, (old, character, before, ink) in enumerate(zip(was, text, worn, inks, strict=True)):
        if old == character and (
            ink is before  # nearly always: `_ink` keeps them
            or (character == " " and ink.bare and before.bare and ink.ground == before.ground)
            or ink == before
        ):
            continue
        if at == end or (runs and _is_cheap(text, inks, end, at)):
            end = at + 1
            runs[-1] = (runs[-1][0], end)
        else:
            end = at + 1
            runs.append((at, end))
    return runs


def _is_cheap(text: str, inks: list[Ink], first: int, last: int) -> bool:
    """True where it is shorter to write what lies between two changes than to step over it."""
    if last - first > NEAR_BYTES or len(text[first:last].encode()) > NEAR_BYTES:
        return False
    before = inks[first - 1]
    return all(inks[at].looks_like(before, text[at]) for at in range(first, last))


def _within(spans: Iterable[Span], first: int, last: int) -> Iterator[Span]:
    """The parts of *spans* from column *first* to *last* (exclusive)."""
    start = 0
    for text, ink in spans:
        left, right = max(start, first), min(start + len(text), last)
        if left < right:
            yield text[left - start : right - start], ink
        start += len(text)
