"""A log is foreign text of any size: shown in part, never obeyed, never read whole."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.probes.follow import PARTIAL_BYTES, READ_BYTES, LineFollower
from monitor.probes.log import LogFollower, clean_line, read_log, tail

FORBIDDEN = {chr(code) for code in [*range(0x20), *range(0x7F, 0xA0)]} | set(
    "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        pytest.param(b"step 7 loss 0.9\n", "step 7 loss 0.9", id="plain"),
        pytest.param(b"step 7\r\n", "step 7", id="dos line end"),
        pytest.param(b" 10%\r 20%\r 30%", " 30%", id="a progress bar shows its last state"),
        pytest.param(b" 10%\r 20%\r\x1b[K\r\n", " 20%", id="cleared at the end"),
        pytest.param(b"\x1b[1;31mred\x1b[0m", "red", id="colour"),
        pytest.param(b"\x1b]0;title\x07text", "text", id="title by bell"),
        pytest.param(b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link", id="hyperlink"),
        pytest.param(b"\x1bP1$qm\x1b\\after", "after", id="device control"),
        pytest.param(b"\x1b]0;never ended", "0;never ended", id="cut-off title is shown"),
        pytest.param(b"\x1b[2J\x1b[H\x1bcgone", "gone", id="clear and reset"),
        pytest.param("\u009b31mred".encode(), "red", id="eight-bit csi"),
        pytest.param(b"a\x1b", "a", id="lone escape at the end"),
        pytest.param(b"a\x00b\x07c\x08d\x7f", "abcd", id="nul, bell, backspace, delete"),
        pytest.param("abc\u202edcba\u2066x".encode(), "abcdcbax", id="bidi"),
        pytest.param(b"a\tb", "a       b", id="tab"),
        pytest.param(b"\xff\xfe ok", "\ufffd\ufffd ok", id="not utf-8"),
        pytest.param("a\ud800b", "a\ufffdb", id="a lone surrogate cannot be printed"),
        pytest.param("größe 訓練 🙂", "größe 訓練 🙂", id="other scripts stay"),
        pytest.param(b"", "", id="empty"),
        pytest.param(b"\r\r\r", "", id="only returns"),
    ],
)
def test_lines_are_neutralised(line: str | bytes, shown: str) -> None:
    assert clean_line(line) == shown


def test_a_line_of_a_megabyte_is_cut() -> None:
    text = clean_line(b"x" * 1_000_000, limit=100)
    assert text == "x" * 99 + "…"


def test_a_megabyte_of_redraws_shows_the_last() -> None:
    raw = b"".join(b"%d%%\r" % number for number in range(200_000))
    assert clean_line(raw) == "199999%"
    assert clean_line(b"old\r" + b"y" * 1_000_000, limit=50) == "y" * 49 + "…"


ALPHABET = "a7;m[]()\\ \t\r\n\x00\x07\x1b\x9b\x9d\x90\x9c\x7f\u202e\u2028\ud800ÿ€😀?$P^_X"


@given(st.text(ALPHABET, max_size=60) | st.binary(max_size=60), st.integers(2, 40))
def test_no_control_character_ever_passes(line: str | bytes, limit: int) -> None:
    text = clean_line(line, limit)
    assert not FORBIDDEN & set(text)
    assert len(text) <= limit
    text.encode()


@given(st.text(ALPHABET, max_size=60))
def test_clean_text_is_left_alone(line: str) -> None:
    once = clean_line(line)
    assert clean_line(once) == once


def test_the_cost_of_hostile_escapes_does_not_explode() -> None:
    for hostile in (b"\x1b]" * 500_000, b"\x1b[" * 500_000, b"\x1b" * 1_000_000):
        assert len(clean_line(hostile)) <= 1000


def test_read_log_is_a_stat(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    assert read_log(path).value is None
    path.write_bytes(b"12345")
    reading = read_log(path).value
    assert reading is not None
    assert (reading.path, reading.size_bytes) == (str(path), 5)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        pytest.param(b"", [], id="empty"),
        pytest.param(b"\n", [""], id="one empty line"),
        pytest.param(b"a\nb\n", ["a", "b"], id="whole lines"),
        pytest.param(b"a\nb", ["a", "b"], id="the last is not ended"),
        pytest.param(b"a\n" * 9 + b"b\n", ["a", "a", "b"], id="no more than asked for"),
        pytest.param(b"\0" * 99 + b"first\n", ["first"], id="zeros before the first line"),
    ],
)
def test_tail(tmp_path: Path, content: bytes, lines: list[str]) -> None:
    path = tmp_path / "train.log"
    path.write_bytes(content)
    assert tail(path, max_lines=3) == lines


def test_tail_leaves_out_the_line_it_lands_in(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_bytes(b"aaaa\nbbbb\ncccc\n")
    assert tail(path, max_bytes=8) == ["cccc"]
    path.write_bytes(b"aaaabbbbcccc")
    assert tail(path, max_bytes=8) == ["…bbbbcccc"]


@pytest.mark.parametrize("make", ["nothing", "folder", "fifo"])
def test_tail_of_what_is_no_log_is_empty(tmp_path: Path, make: str) -> None:
    path = tmp_path / "train.log"
    if make == "folder":
        path.mkdir()
    elif make == "fifo":
        os.mkfifo(path)
    assert tail(path) == []
    assert LogFollower(path).read() == []


def test_a_log_of_a_gibibyte_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    with path.open("wb") as stream:
        stream.truncate(1 << 30)
        stream.seek(0, os.SEEK_END)
        stream.write(b"\nstep 624\nstep 625\n")
    tracemalloc.start()
    lines = tail(path)
    follower = LogFollower(path)
    followed = follower.read()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lines[-2:] == followed[-2:] == ["step 624", "step 625"]
    assert peak < 4 << 20


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(content)


def test_following_gives_whole_lines_once(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    follower = LogFollower(path)
    assert follower.read() == []
    append(path, b"one\ntw")
    assert follower.read() == ["one"]
    assert follower.partial == "tw"
    append(path, b"o\nthree\n")
    assert follower.read() == ["two", "three"]
    assert follower.read() == []


def test_following_begins_near_the_end(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    append(path, b"".join(b"line %04d\n" % number for number in range(100)))
    assert LogFollower(path, tail_bytes=20).read() == ["line 0098", "line 0099"]
    assert LogFollower(path, tail_bytes=15).read() == ["line 0099"]
    assert len(LogFollower(path, tail_bytes=None).read()) == 100


def test_following_a_log_that_is_cut_short_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    append(path, b"old line\nhalf")
    follower = LineFollower(path)
    follower.read()
    path.write_bytes(b"new\n")
    new = follower.read()
    assert (new.lines, new.restarted) == ((b"new",), True)


def test_following_a_log_that_is_replaced_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    append(path, b"old\n")
    follower = LogFollower(path)
    follower.read()
    path.rename(tmp_path / "train.log.1")
    assert follower.read() == []
    append(path, b"a much longer new line\n")
    assert follower.read() == ["a much longer new line"]


def test_following_reads_in_bites(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    append(path, b"x" * 99 + b"\n")
    follower = LineFollower(path)
    follower.read()
    append(path, (b"y" * 99 + b"\n") * (READ_BYTES // 50))
    first = follower.read()
    assert first.behind_bytes > 0
    total = len(first.lines)
    while follower.read().behind_bytes:
        pass
    assert total < READ_BYTES // 50


def test_an_endless_line_is_held_in_part(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    follower = LogFollower(path)
    for _ in range(8):
        append(path, b"z" * READ_BYTES)
        assert follower.read() == []
        assert len(follower._follower.partial) <= PARTIAL_BYTES
    append(path, b"\nnext\n")
    assert follower.read()[-1] == "next"


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=30), max_size=8))
def test_following_loses_and_invents_nothing(chunks: list[bytes]) -> None:
    path = Path(os.environ["LANEWATCH_RUNS"]).parent / f"law-{os.getpid()}.log"
    path.unlink(missing_ok=True)
    follower = LineFollower(path)
    lines: list[bytes] = []
    for chunk in chunks:
        append(path, chunk)
        lines += follower.read().lines
    assert [*lines, follower.partial] == b"".join(chunks).split(b"\n")
