"""Whatever lies in heartbeat.json, the reader returns a heartbeat or says why there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.probes.heartbeat import parse_heartbeat, read_heartbeat

GOOD: dict[str, Any] = {
    "schema": 1,
    "attempt": 1,
    "seq": 12,
    "pid": 77,
    "boot_id": "b",
    "monotonic_s": 1.5,
    "wall_s": 1.0,
    "stage": "train",
    "phase": "iteration",
    "done": 116,
    "total": 625,
    "unit": "iterations",
    "loss": 0.87,
    "lr": 8.2e-5,
    "grad_norm": 1.2,
    "step_s": 32.4,
    "write_errors": 0,
}


def test_a_whole_heartbeat(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat.json"
    path.write_text(json.dumps(GOOD))
    read = read_heartbeat(path)
    assert read.problem is None
    assert read.value is not None
    for name in ("attempt", "seq", "pid", "stage", "phase", "done", "total", "loss", "step_s"):
        assert getattr(read.value, name) == GOOD[name]


@pytest.mark.parametrize(
    ("loss", "nan", "expected"),
    [
        pytest.param(None, True, (None, True), id="the loss is no number"),
        pytest.param(None, None, (None, False), id="not known"),
        pytest.param(0.5, True, (0.5, False), id="a number is one, whatever is said"),
        pytest.param(None, 1, (None, False), id="only true is true"),
    ],
)
def test_a_loss_that_is_no_number_is_told_from_an_unknown_one(
    loss: float | None, nan: object, expected: tuple[float | None, bool]
) -> None:
    value = parse_heartbeat({**GOOD, "loss": loss, "nan": nan}).value
    assert value is not None
    assert (value.loss, value.nan) == expected


def test_a_missing_file_is_no_problem(tmp_path: Path) -> None:
    read = read_heartbeat(tmp_path / "heartbeat.json")
    assert (read.value, read.problem) == (None, None)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"  \n", id="blank"),
        pytest.param(json.dumps(GOOD).encode()[:40], id="cut short"),
        pytest.param(b"\x00\xff\xfe", id="binary"),
        pytest.param(b"[1]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"hello": 1}', id="foreign"),
        pytest.param(b"[" * 100_000, id="nested too deep"),
        pytest.param(b"1" * 5000, id="a number of 5000 digits"),
    ],
)
def test_bad_content_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "heartbeat.json"
    path.write_bytes(content)
    read = read_heartbeat(path)
    assert read.value is None
    assert read.problem is not None
    assert "heartbeat.json" in read.problem


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "heartbeat.json").mkdir()
    read = read_heartbeat(tmp_path / "heartbeat.json")
    assert read.value is None
    assert read.problem is not None


@pytest.mark.parametrize("key", ["schema", "attempt", "seq", "pid", "boot_id", "monotonic_s"])
@pytest.mark.parametrize("value", [None, True, "", [], {}, -1, float("nan")])
def test_without_its_name_there_is_none(key: str, value: object) -> None:
    read = parse_heartbeat({**GOOD, key: value})
    assert read.value is None
    assert read.problem is not None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("loss", float("nan"), id="loss is nan"),
        pytest.param("loss", float("inf"), id="loss is infinite"),
        pytest.param("done", True, id="a bool is no count"),
        pytest.param("done", -3, id="negative"),
        pytest.param("done", 2**70, id="too large"),
        pytest.param("done", 1.5, id="half an iteration"),
        pytest.param("total", "625", id="a string"),
        pytest.param("step_s", 10**400, id="too large for a float"),
        pytest.param("lr", [], id="a list"),
    ],
)
def test_a_wrong_figure_is_unknown_and_named(key: str, value: object) -> None:
    read = parse_heartbeat({**GOOD, key: value})
    assert read.value is not None
    assert getattr(read.value, key) is None
    assert read.problem is not None
    assert key in read.problem


@pytest.mark.parametrize("key", ["done", "total", "loss", "lr", "grad_norm", "step_s"])
def test_null_is_unknown_and_no_problem(key: str) -> None:
    read = parse_heartbeat({**GOOD, key: None})
    assert read.value is not None
    assert getattr(read.value, key) is None
    assert read.problem is None


def test_foreign_words_lose_their_control_sequences() -> None:
    read = parse_heartbeat({**GOOD, "phase": "\x1b[31msaving\x07" + "x" * 500})
    assert read.value is not None
    assert read.value.phase.startswith("savingx")
    assert len(read.value.phase) == 64


TEXT = st.text("a1 \x00\x1b\r\n\u202e\ud800", max_size=9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), JSON))
def test_any_json_never_raises(changes: dict[str, Any]) -> None:
    read = parse_heartbeat({**GOOD, **changes})
    assert read.value is not None or read.problem
