"""A log in windows: lines are the same from above and below, and found as a plain reader does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tui.log_file
import tui.log_scan
from monitor.probes.text import clean_line
from tui import log_filter
from tui.log_file import LineReader, LogFile
from tui.log_filter import FilteredLines
from tui.log_pager import LogPager
from tui.log_scan import Scanner
from tui.log_text import compiled, complaint, level_of, plain_word, rows_of

HARD = 64
"""Small, so that a short text has broken lines and many stretches."""


@pytest.fixture(autouse=True)
def _small_stretches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tui.log_file, "HARD_BYTES", HARD)
    monkeypatch.setattr(tui.log_scan, "HARD_BYTES", HARD)
    monkeypatch.setattr(tui.log_file, "CHUNK_BYTES", 16)
    monkeypatch.setattr(tui.log_scan, "CHUNK_BYTES", 16)
    yield
    monkeypatch.undo()


def opened(raw: bytes) -> int:
    descriptor = os.memfd_create("log")
    os.write(descriptor, raw)
    return descriptor


RAW = st.lists(
    st.sampled_from([b"a", b"ab", b"\n", b"\n", b"x" * 40, b"y" * 130, b"\r", b"\x1b[1m", b"\t"]),
    max_size=30,
).map(b"".join)


PATTERNS = [
    "ab",
    "x",
    "A",
    "a|y{20}",
    "^a",
    "b$",
    r"\x61",
    "a b",
    r"[^b]a",
    r"^$",
    r"a(?!b)",
    r"b\Z",
]
PLAIN = st.lists(st.sampled_from([b"a", b"AB", b"\n", b" ", b"x" * 40]), max_size=40).map(b"".join)


@given(RAW)
def test_lines_are_the_same_from_above_and_from_below(raw: bytes) -> None:
    descriptor = opened(raw)
    try:
        reader = LineReader(descriptor, len(raw))
        down = reader.after(0, 1000)
        assert reader.before(len(raw), 1000) == down
        assert [line.start for line in down] == [0, *(line.end for line in down)][:-1] or not raw
        assert (down[-1].end if down else 0) == len(raw)
        for line in down:
            assert reader.start_of(line.end - 1) == line.start
    finally:
        os.close(descriptor)


@given(RAW | PLAIN, st.sampled_from(PATTERNS))
def test_a_search_finds_what_reading_every_line_finds(raw: bytes, pattern: str) -> None:
    descriptor = opened(raw)
    try:
        reader = LineReader(descriptor, len(raw))
        wanted = [x.start for x in reader.after(0, 1000) if compiled(pattern).search(x.text)]
        scanner = Scanner(descriptor, [pattern])
        down = [hit for hits, _ in scanner.find(0, forwards=True) for hit in hits]
        up = [hit for hits, _ in scanner.find(len(raw), forwards=False) for hit in hits]
        assert down == wanted
        assert up[::-1] == wanted
    finally:
        os.close(descriptor)


def test_a_progress_bar_is_its_last_state_and_nothing_of_a_terminal_gets_through(
    tmp_path: Path,
) -> None:
    path = tmp_path / "train.log"
    path.write_bytes(b"\x1b[2J\x1b]0;title\x07red\n 1%|\r 2%|\r 3%|\x1b[A\n" + b"z" * 200)
    file = LogFile(path)
    file.look()
    texts = [line.text for line in file.lines.after(0, 10)]
    assert texts[:2] == ["red", " 3%|"]
    assert all(text.isprintable() for text in texts)
    assert "".join(texts[2:]).replace("…", "").strip("z") == ""
    file.close()


def test_what_becomes_of_the_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    file = LogFile(path)
    assert file.look() is None
    assert "is not there" in (file.problem or "")
    path.write_text("one\n")
    assert file.look() is None
    assert file.problem is None
    path.write_text("")
    assert file.look() == "cut"
    path.unlink()
    path.write_text("two\n") if not file.look() else None
    assert file.look() == "replaced"
    assert [line.text for line in file.lines.after(0, 9)] == ["two"]
    path.unlink()
    os.mkfifo(path)
    file.look()
    assert "not a regular file" in (file.problem or "")
    assert [line.text for line in file.lines.after(0, 9)] == ["two"]
    file.close()


def test_following_turns_pages_so_that_one_line_more_is_one_row_more(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text("".join(f"{n}\n" for n in range(100)))
    pager = LogPager(path, width=20, height=6)

    def view() -> list[str]:
        pager.look()
        return [row.text for row in pager.page()]

    def write(text: str) -> None:
        with path.open("a") as file:
            file.write(text)

    assert view() == ["94", "95", "96", "97", "98", "99"]
    write("100\n")
    assert view() == ["97", "98", "99", "100"]
    write("101\n")
    assert view() == ["97", "98", "99", "100", "101"]
    write("".join(f"{n}\n" for n in range(102, 150)))
    assert view() == ["144", "145", "146", "147", "148", "149"]


def test_a_filter_asks_only_for_what_the_view_lacks() -> None:
    raw = b"".join(b"%d %s\n" % (n, b"yes" if n % 2 else b"no") for n in range(40))
    descriptor = opened(raw)
    try:
        reader, scanner = LineReader(descriptor, len(raw)), Scanner(descriptor, ["yes"])
        lines = FilteredLines(reader, len(raw))
        assert lines.before(len(raw), 3) == []
        while (wanted := lines.wanted) is not None:
            lines.wanted = None
            for hits, reached in scanner.find(wanted.start, forwards=wanted.forwards):
                wanted = lines.take(wanted, hits, reached, done=False)
                if not wanted.count:
                    break
            lines.take(wanted, [], wanted.start, done=True)
            found = lines.before(len(raw), 3)
        assert [line.text for line in found] == ["35 yes", "37 yes", "39 yes"]
        assert lines.low < len(raw)
        lines.after(len(raw), 3)
        assert lines.wanted is None
    finally:
        os.close(descriptor)


def test_a_filter_that_is_followed_forgets_what_is_far_above(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_filter, "KEPT", 5)
    raw = b"".join(b"%d yes\n" % n for n in range(40))
    descriptor = opened(raw)
    try:
        reader, scanner = LineReader(descriptor, len(raw)), Scanner(descriptor, ["yes"])
        lines = FilteredLines(reader, 0)

        def search() -> None:
            while (wanted := lines.wanted) is not None:
                lines.wanted = None
                for hits, reached in scanner.find(wanted.start, forwards=wanted.forwards):
                    wanted = lines.take(wanted, hits, reached, done=False)
                lines.take(wanted, [], wanted.start, done=True)

        assert lines.after(0, 3) == []
        search()
        assert [each.text for each in lines.before(len(raw), 2)] == ["38 yes", "39 yes"]
        assert raw.index(b"30 yes") <= lines.low <= raw.index(b"35 yes")
        lines.before(len(raw), 20)
        search()
        found = [each.text for each in lines.before(len(raw), 20)]
        assert found == [f"{n} yes" for n in range(20, 40)]
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        pytest.param("2026-05-21 ERROR boom", "error", id="word"),
        pytest.param("Traceback (most recent call last):", "error", id="traceback"),
        pytest.param("torch.cuda.OutOfMemoryError: CUDA out of memory", "error", id="exception"),
        pytest.param("[NeMo W 2026-05-21 11:08:23 x:1] odd", "warning", id="nemo"),
        pytest.param("x.py:1: FutureWarning: later", "warning", id="python"),
        pytest.param("INFO:root:fine", "info", id="info"),
        pytest.param("mean error 0.1, no warning", "", id="prose"),
        pytest.param("information", "", id="part-of-a-word"),
    ],
)
def test_levels(text: str, level: str) -> None:
    assert level_of(text) == level


@given(st.text(max_size=60), st.integers(1, 9))
def test_wrapped_rows_lose_nothing(text: str, width: int) -> None:
    text = clean_line(text)
    rows = rows_of(7, text, width, wrap=True)
    assert "".join(row.text for row in rows) == text
    assert all(text[row.begin :].startswith(row.text) and row.line == 7 for row in rows)


@pytest.mark.parametrize("pattern", ["(", "[", "*a", "a{2,1}", "(?P<1>x)", "\\"])
def test_a_bad_pattern_is_one_sentence(pattern: str) -> None:
    said = complaint(pattern)
    assert said is not None
    assert said.startswith("not a regular expression: ")
    assert "\n" not in said


def test_only_a_letter_that_is_meant_makes_a_search_mind_capitals() -> None:
    assert compiled(r"error\S+").search("ERRORS")
    assert not compiled("Error").search("error")


def test_a_plain_word_is_known_from_a_pattern() -> None:
    assert plain_word("lm loss: nan-1") == "lm loss: nan-1"
    assert plain_word("loss.*nan") is None
    assert plain_word("größe") is None
