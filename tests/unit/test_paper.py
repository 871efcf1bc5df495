"""The paper on which tests and measurements see what stands on a terminal, piece by piece."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some
from paper import Paper

WRITTEN = (
    "\x1b[?1049h\x1b]0;a title\x07\x1b]52;c;\x1b\\\x1b>\x1b[Hverdict\x1b[2;3H\x1b[1;31mh\x1b[0mea"
    "rtbeat\x1b[2;8Hb\x1b[3;1H✓ 漢字 done\r\nlast\x1b[5;18Hcut here, and nowhere else"
)
SHOWN = ["verdict", "  heartbeat", "✓ 漢 字  done", "last", " " * 17 + "cut"]


def test_it_shows_what_was_written_in_parts_over_what_stood_there() -> None:
    paper = Paper(20, 6)
    paper.write(WRITTEN)
    assert paper.text() == [*SHOWN, ""]
    paper.write("\x1b[1;5Huse\x1b[9;1Hbelow the screen")
    assert paper.text() == ["verduse", *SHOWN[1:], ""]


@given(some.lists(some.integers(0, len(WRITTEN)), max_size=8).map(sorted))
def test_pieces_may_end_anywhere(ends: list[int]) -> None:
    paper = Paper(20, 6)
    for start, end in zip([0, *ends], [*ends, len(WRITTEN)], strict=True):
        paper.write(WRITTEN[start:end])
    assert paper.text() == [*SHOWN, ""]


@pytest.mark.parametrize("end", range(1, len(WRITTEN)))
def test_one_cut_anywhere(end: int) -> None:
    paper = Paper(20, 6)
    paper.write(WRITTEN[:end])
    paper.write(WRITTEN[end:])
    assert paper.text() == [*SHOWN, ""]
