"""What terminals of few colours, or of no size, are sent: nothing that they cannot show."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

import pytest
from conftest import CLI, Lanewatch, until

TRUE_COLOUR = re.compile(rb"[34]8;2;(\d+);(\d+);(\d+)")
PALETTE = re.compile(rb"[34]8;5;(\d+)")
COLOURS = {str(at).encode() for at in (*range(30, 39), *range(40, 49), *range(90, 108))}
"""Attributes that choose a colour of letters or ground; 39 and 49 give the terminal's own back."""
REST_S, REST_BYTES = 1.5, 1500
TITLE = b"\x1b]2;"


def drawn(lanewatch: Lanewatch, *, rows: int = 30, **env: str | None) -> bytes:
    """All that the board writes until it is left, to a terminal of 100 columns with *env*."""
    lanewatch.root.mkdir(parents=True)
    ours, theirs = pty.openpty()
    if rows:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 100, 0, 0))
    there = {key: value for key, value in (os.environ | env).items() if value is not None}
    screen = subprocess.Popen(CLI, stdin=theirs, stdout=theirs, stderr=theirs, env=there)
    os.close(theirs)
    written = bytearray()

    def read() -> bytes:
        if select.select([ours], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):  # the end of a terminal
                written.extend(os.read(ours, 65536))
        return bytes(written)

    try:
        until(lambda: b"No runs yet" in read(), "the board is drawn")

        def rests() -> bool:
            before, end = len(written), time.monotonic() + REST_S
            while time.monotonic() < end:
                read()
            return len(written) - before < REST_BYTES

        if not rows:
            until(rests, "it is drawn once")
        os.write(ours, b"q")
        until(lambda: (read(), screen.poll())[1] is not None, "it ends")
        assert screen.returncode == 0
    finally:
        screen.kill()
        screen.wait()
        os.close(ours)
    return bytes(written)


@pytest.mark.parametrize("term", ["xterm-256color", "screen-256color", "tmux-256color"])
def test_without_the_promise_of_more_256_colours_are_used(lanewatch: Lanewatch, term: str) -> None:
    data = drawn(lanewatch, TERM=term, COLORTERM=None, NO_COLOR=None)
    assert not TRUE_COLOUR.search(data)
    assert len({int(each) for each in PALETTE.findall(data)}) >= 4  # ground, text, muted, a tone


def test_a_terminal_that_names_no_size_is_not_drawn_without_end(lanewatch: Lanewatch) -> None:
    assert drawn(lanewatch, rows=0, COLUMNS=None, LINES=None)


def test_the_bare_console_is_sent_sixteen_colours_and_ascii(lanewatch: Lanewatch) -> None:
    data = drawn(lanewatch, TERM="linux", COLORTERM=None, NO_COLOR=None)
    assert not TRUE_COLOUR.search(data)
    assert not PALETTE.search(data)
    assert data.isascii()
    assert TITLE not in data


@pytest.mark.parametrize(
    ("value", "plain"),
    [pytest.param("1", True, id="set"), pytest.param("", False, id="set to nothing")],
)
def test_no_colour_is_a_wish_where_it_is_not_empty(
    lanewatch: Lanewatch, value: str, plain: bool
) -> None:
    data = drawn(lanewatch, TERM="xterm-256color", COLORTERM="truecolor", NO_COLOR=value)
    attributes = {
        part for each in re.findall(rb"\x1b\[([\d;]*)m", data) for part in each.split(b";")
    }
    assert b"1" in attributes  # bold is no colour
    assert (not attributes & COLOURS) is plain
