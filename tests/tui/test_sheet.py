"""The cells of a terminal: what is sent makes it look as meant, and nothing is sent twice."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.sheet import Piece, Sheet

SIZE = (14, 3)
TOLD = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\[([\d;]*)m|([^\x1b])")

Cell = tuple[str, frozenset[str], str, str]


class Screen:
    """A terminal with colours, for the sequences that a sheet writes and no others."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], Cell] = {}
        self.x = self.y = 0
        self.ink: tuple[frozenset[str], str, str] = (frozenset(), "", "")

    def write(self, data: str) -> None:
        for found in TOLD.finditer(data):
            row, column, told, character = found.groups()
            if row:
                self.y, self.x = int(row) - 1, int(column) - 1
            elif told is not None:
                self._set(told.split(";"))
            else:
                for x in range(self.x, self.x + cell_len(character)):
                    self.cells[x, self.y] = (character, *self.ink)
                self.x += cell_len(character)

    def _set(self, told: list[str]) -> None:
        attributes, colour, ground = self.ink
        while told:
            first = told.pop(0)
            if first in ("", "0"):
                attributes, colour, ground = frozenset(), "", ""
            elif first in ("38", "48"):
                count = 4 if told[0] == "2" else 2
                value, told = ";".join(told[:count]), told[count:]
                colour, ground = (value, ground) if first == "38" else (colour, value)
            elif first in ("39", "49"):
                colour, ground = ("", ground) if first == "39" else (colour, "")
            elif 30 <= int(first) < 38:
                colour = first
            else:
                attributes |= {first}
        self.ink = (attributes, colour, ground)

    def seen(self) -> dict[tuple[int, int], Cell]:
        """What an eye can tell apart: a space has a ground, and a line under it."""
        return {
            place: cell
            if cell[0] != " " or cell[1] & {"4", "7"}
            else (" ", frozenset(), "", cell[3])
            for place, cell in self.cells.items()
        }


def anew(pieces: Sequence[Piece], screen: Screen) -> None:
    """Write each piece whole, every text with all of its style."""
    for x, y, strip in pieces:
        screen.write(f"\x1b[{y + 1};{x + 1}H")
        for text, style, _ in strip:
            codes = Strip.render_ansi(style, ColorSystem.TRUECOLOR) if style else ""
            screen.write(f"\x1b[0;{codes}m{text}" if codes else f"\x1b[0m{text}")


styles = st.sampled_from(
    [
        None,
        Style(color="#e0e0e0", bgcolor="#121212"),
        Style(color="#a0a0a0", bgcolor="#121212"),
        Style(color="#e0e0e0", bgcolor="#121212", bold=True),
        Style(color="#e0e0e0", bgcolor="#333333", underline=True),
        Style(reverse=True),
        Style(color="red", italic=True),
        Style(bgcolor="#121212"),
    ]
)


def texts(alphabet: str) -> st.SearchStrategy[list[tuple[str, Style | None]]]:
    return st.lists(st.tuples(st.text(alphabet, min_size=1, max_size=5), styles), max_size=4)


@st.composite
def rows(draw: st.DrawFn, alphabet: str) -> list[Piece]:
    """A row, or a part of one, in pieces that lie beside each other, cut at the right edge."""
    y, x = draw(st.integers(0, SIZE[1] - 1)), draw(st.integers(0, SIZE[0] - 1))
    pieces = []
    for spans in draw(st.lists(texts(alphabet), min_size=1, max_size=3)):
        strip = Strip([Segment(text, style) for text, style in spans]).crop(0, SIZE[0] - x)
        if strip.cell_length:
            pieces.append(Piece(x, y, strip))
            x += strip.cell_length
    return pieces


def joined(found: list[list[Piece]]) -> list[Piece]:
    return [piece for pieces in found for piece in pieces]


blank = [Piece(0, y, Strip([Segment(" " * SIZE[0])])) for y in range(SIZE[1])]


def played(changes: Sequence[list[Piece]]) -> None:
    sheet, shown, meant = Sheet(), Screen(), Screen()
    for pieces in [blank, *changes]:
        shown.write(sheet.write(pieces, SIZE, ColorSystem.TRUECOLOR))
        anew(pieces, meant)
        assert shown.seen() == meant.seen()
        assert shown.ink == (frozenset(), "", ""), "what others write has no colour of ours"


@given(st.lists(rows(" ab·█é"), max_size=6))
def test_the_terminal_looks_as_it_does_when_all_is_written(changes: list[list[Piece]]) -> None:
    played(changes)


@given(st.lists(st.lists(rows(" ab█漢"), max_size=3).map(joined), max_size=4))
def test_wide_characters_too_where_rows_are_written_whole(changes: list[list[Piece]]) -> None:
    whole = [
        [Piece(0, y, Strip([Segment(" " * SIZE[0])])) for y in {each.y for each in pieces}] + pieces
        for pieces in changes
    ]
    played(whole)


@given(rows(" ab·█é"))
def test_what_stands_there_is_not_sent_again(pieces: list[Piece]) -> None:
    sheet = Sheet()
    sheet.write(blank, SIZE, None)
    sheet.write(pieces, SIZE, None)
    assert sheet.write(pieces, SIZE, None) == ""
    sheet.forget()
    text = "".join(each.strip.text for each in pieces)
    assert re.sub(r"\x1b\[[\d;]*[Hm]", "", sheet.write(pieces, SIZE, None)) == text


def test_another_size_is_another_terminal() -> None:
    sheet = Sheet()
    piece = Piece(0, 0, Strip([Segment("word")]))
    assert "word" in sheet.write([piece], SIZE, None)
    assert sheet.write([piece], SIZE, None) == ""
    assert "word" in sheet.write([piece], (20, 3), None)


def test_a_colour_is_said_once() -> None:
    style = Style(color="#57a5e2", bgcolor="#121212")
    graph = [Piece(4, y, Strip([Segment("⡇⡇", style)])) for y in range(3)]
    sent = Sheet().write(graph, SIZE, ColorSystem.TRUECOLOR)
    assert sent.count("38;2;87;165;226") == 1
    assert len(sent) < 80
