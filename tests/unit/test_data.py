"""Reading rows: every shape, every bad line by its number, every file that is none."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.recipe import data
from runners.recipe.data import BadRow, DataError, Row, parse_row, read_rows, survey

USER = {"role": "user", "content": "Why?"}
ANSWER = {"role": "assistant", "content": "<think>so</think>Because."}


def parse(value: object, shape: str = "auto") -> Row | BadRow:
    return parse_row(7, json.dumps(value).encode(), shape)


@pytest.mark.parametrize(
    ("row", "shape"),
    [
        pytest.param({"messages": [USER, ANSWER]}, "messages", id="messages"),
        pytest.param(
            {"prompt": [USER], "completion": [ANSWER]}, "prompt_completion", id="pair-of-lists"
        ),
        pytest.param(
            {
                "conversations": [
                    {"from": "human", "value": "Why?"},
                    {"from": "gpt", "value": "<think>so</think>Because."},
                ]
            },
            "conversations",
            id="sharegpt",
        ),
        pytest.param(
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "Why?"}]},
                    ANSWER,
                ]
            },
            "messages",
            id="text-parts",
        ),
    ],
)
def test_a_conversation_whatever_its_shape(row: dict[str, Any], shape: str) -> None:
    found = parse(row)
    assert isinstance(found, Row)
    assert (found.line, found.shape, found.answer) == (7, shape, ANSWER["content"])
    assert [(turn["role"], turn["content"]) for turn in found.messages] == [("user", "Why?")]
    assert found.prompt is None


def test_plain_texts_need_no_template() -> None:
    pair = parse({"prompt": "Why?", "completion": " Because."})
    text = parse({"text": "All of it."})
    assert isinstance(pair, Row)
    assert isinstance(text, Row)
    assert (pair.prompt, pair.answer, pair.messages) == ("Why?", " Because.", ())
    assert (text.prompt, text.answer) == ("", "All of it.")


def test_reasoning_in_a_field_of_its_own_is_kept() -> None:
    turn = {"role": "assistant", "reasoning_content": "so", "content": "Because."}
    found = parse({"messages": [USER, turn]})
    assert isinstance(found, Row)
    assert found.answer == "<think>\nso\n</think>\n\nBecause."


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param([1], "is not a JSON object", id="a-list"),
        pytest.param({"question": "?"}, "has no known shape", id="unknown-keys"),
        pytest.param({"prompt": "only"}, "has no known shape", id="half-a-pair"),
        pytest.param({"messages": "hi"}, "not a list of turns", id="no-list"),
        pytest.param({"messages": []}, "not a list of turns", id="no-turn"),
        pytest.param({"messages": [USER]}, "no assistant turn", id="no-assistant"),
        pytest.param({"messages": [ANSWER]}, "no turn before", id="only-the-assistant"),
        pytest.param({"messages": [USER, ANSWER, USER]}, "ends with a turn of the user", id="open"),
        pytest.param(
            {"messages": [USER, {"role": "assistant", "content": " \n"}]}, "is empty", id="blank"
        ),
        pytest.param(
            {"messages": [USER, {"role": "assistant", "content": None}]}, "has no text", id="null"
        ),
        pytest.param({"messages": [{"role": "boss", "content": ""}, ANSWER]}, "'boss'", id="role"),
        pytest.param(
            {"messages": [{"role": [1], "content": ""}, ANSWER]}, "unknown role", id="role-list"
        ),
        pytest.param({"messages": ["hi", ANSWER]}, "is not an object", id="turn-is-a-text"),
        pytest.param(
            {"conversations": [{"from": "moon", "value": "x"}]}, "'moon'", id="unknown-speaker"
        ),
        pytest.param({"conversations": [{"value": "x"}]}, 'no "from"', id="no-speaker"),
        pytest.param({"prompt": "a", "completion": ""}, "completion is empty", id="no-answer"),
        pytest.param({"prompt": "a", "completion": [ANSWER]}, "must both be", id="mixed-pair"),
        pytest.param({"text": 3}, "text is not a text", id="text-is-a-number"),
        pytest.param({"text": "\ud800"}, "surrogate", id="half-a-character"),
        pytest.param(
            {"messages": [{"role": "user", "content": "\udfff"}, ANSWER]},
            "surrogate",
            id="half-a-character-in-a-turn",
        ),
    ],
)
def test_a_row_that_cannot_be_used(row: object, reason: str) -> None:
    found = parse(row)
    assert isinstance(found, BadRow)
    assert found.line == 7
    assert reason in found.reason


def test_an_asked_for_shape_must_be_there() -> None:
    found = parse({"text": "x"}, "messages")
    assert isinstance(found, BadRow)
    assert "data.shape" in found.reason
    both = parse({"text": "x", "messages": [USER, ANSWER]}, "text")
    assert isinstance(both, Row)
    assert both.shape == "text"


def test_lines_are_counted_with_the_blank_ones(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text":"a"}\r\n\n{oops\n\xff\n{"text":"b"}')
    found = list(read_rows(path))
    assert [each.line for each in found] == [1, 3, 4, 5]
    assert [type(each) for each in found] == [Row, BadRow, BadRow, Row]


def test_a_line_without_end_is_one_bad_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "LINE_LIMIT_BYTES", 64)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"text":"' + b"x" * 500 + b'"}\n{"text":"b"}\n')
    long, short = read_rows(path)
    assert isinstance(long, BadRow)
    assert "64 MiB" in long.reason
    assert (short.line, survey(path).lines) == (2, 2)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"\n \n", "is empty", id="blank"),
        pytest.param(b"\x1f\x8b\x08", "gzip", id="gzip"),
        pytest.param(b"PAR1\x15", "Parquet", id="parquet"),
        pytest.param(b"\x00\x01\x02", "binary", id="binary"),
        pytest.param(b'[{"text":"a"}]', "JSON array", id="array"),
    ],
)
def test_a_file_that_holds_no_rows(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=word) as caught:
        list(read_rows(path))
    assert str(path) in str(caught.value)


def test_no_file_a_folder_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, word in (
        (tmp_path / "none", "no such data file"),
        (tmp_path, "is a folder"),
        (tmp_path / "pipe", "not a regular file"),
    ):
        with pytest.raises(DataError, match=word):
            list(read_rows(path))


@given(lines=st.lists(st.sampled_from([b"", b" ", b'{"text":"a"}', b"x"])), ends=st.booleans())
def test_a_survey_counts_what_reading_yields(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], ends: bool
) -> None:
    path = tmp_path_factory.mktemp("survey") / "rows.jsonl"
    content = b"\n".join(lines) + (b"\n" if ends else b"")
    path.write_bytes(content)
    found = survey(path)
    assert found.lines == sum(bool(line.strip()) for line in lines)
    assert found.sha256 == hashlib.sha256(content).hexdigest()


@given(st.one_of(st.binary(), st.text().map(lambda text: json.dumps({"text": text}).encode())))
def test_any_line_is_a_row_or_a_reason(raw: bytes) -> None:
    found = parse_row(1, raw)
    assert found.reason if isinstance(found, BadRow) else found.answer.strip()


def test_a_byte_order_mark_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    for content in (b"\r\n" + b'{"text": "a"}\r\n', b'{"text": "a"}\n'):
        path.write_bytes(b"\xef\xbb\xbf" + content)
        rows = list(read_rows(path))
        assert [each.answer for each in rows if isinstance(each, Row)] == ["a"]
        assert survey(path).lines == len(rows) == 1
    path.write_bytes(b'\xef\xbb\xbf[{"text": "a"}]')
    with pytest.raises(DataError, match="one JSON array"):
        list(read_rows(path))
