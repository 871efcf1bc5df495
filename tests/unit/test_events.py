"""What happened is appended whole, and a reader leaves out what is not a line of ours."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from monitor.events import EventFollower, append_event, read_events
from monitor.probes.clock import Now

NOW = Now(boot_id="b", monotonic_s=5.0, wall_s=1000.0)


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    problem = append_event(path, "checkpoint", "iter 70", "watcher", NOW, iteration=70)
    assert problem is None
    append_event(path, "note", "ä\n\x1b[31m", "keeper", NOW)
    first, second = read_events(path)
    assert (first.kind, first.text, first.source) == ("checkpoint", "iter 70", "watcher")
    assert first.fields == {"iteration": 70}
    assert (first.wall_s, first.boot_id, first.monotonic_s) == (1000.0, "b", 5.0)
    assert second.text == "ä\n\x1b[31m"
    assert len(path.read_bytes().splitlines()) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_none_yet(tmp_path: Path) -> None:
    assert read_events(tmp_path / "events.jsonl") == []


def test_the_last_few(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for number in range(50):
        append_event(path, "note", f"{number}", "watcher", NOW)
    assert [each.text for each in read_events(path, tail=3)] == ["47", "48", "49"]
    assert read_events(path, tail=0) == []
    assert len(read_events(path, tail=500)) == 50


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(b"", id="empty line"),
        pytest.param(b"garbage", id="no json"),
        pytest.param(b"[1]", id="a list"),
        pytest.param(b'{"kind": 1, "text": "x"}', id="kind of a wrong type"),
        pytest.param(b'{"kind": "note"}', id="no text"),
        pytest.param(b"\xff\x00", id="binary"),
        pytest.param(b'{"kind": "note", "te', id="cut short"),
    ],
)
def test_foreign_lines_are_left_out(tmp_path: Path, foreign: bytes) -> None:
    path = tmp_path / "events.jsonl"
    append_event(path, "note", "before", "watcher", NOW)
    with path.open("ab") as stream:
        stream.write(foreign)  # a writer that died: no line end
    append_event(path, "note", "after", "watcher", NOW)
    assert [each.text for each in read_events(path)] == ["before", "after"]


def test_times_of_a_wrong_type_are_unknown(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    line = {"kind": "note", "text": "x", "wall_s": "soon", "monotonic_s": True, "boot_id": 3}
    path.write_text(json.dumps(line) + "\n")
    (event,) = read_events(path)
    assert (event.wall_s, event.monotonic_s, event.boot_id) == (None, None, None)
    assert event.source == "unknown"


def test_what_cannot_be_written_is_said_not_raised(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "events.jsonl"
    problem = append_event(path, "note", "x", "watcher", NOW)
    assert problem is not None
    assert "events.jsonl" in problem
    assert append_event(tmp_path / "e", "note", "x", "watcher", NOW, odd=object()) is not None
    assert read_events(path) == []


def test_a_full_disk_is_said_not_raised() -> None:
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("no /dev/full here")
    assert append_event(Path("/dev/full"), "note", "x", "watcher", NOW) is not None


def test_two_writers_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"

    def write(name: str) -> None:
        for number in range(20):
            append_event(path, "note", f"{name}{number}" * 50, name, NOW)

    threads = [threading.Thread(target=write, args=(name,)) for name in ("keeper", "watcher")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = read_events(path)
    assert len(events) == 40
    assert {each.text for each in events if each.source == "keeper"} == {
        f"keeper{number}" * 50 for number in range(20)
    }


def test_following(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    follower = EventFollower(path)
    assert follower.read() == []
    append_event(path, "note", "one", "watcher", NOW)
    assert [each.text for each in follower.read()] == ["one"]
    append_event(path, "note", "two", "watcher", NOW)
    assert [each.text for each in follower.read()] == ["two"]
    assert follower.read() == []
