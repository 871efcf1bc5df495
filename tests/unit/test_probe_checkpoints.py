"""A checkpoint counts for what its files say; half-written and foreign folders are none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.probes import checkpoints
from monitor.probes.checkpoints import (
    MEGATRON_FILES,
    CheckpointProbe,
    parse_tracker,
    read_checkpoints,
)
from monitor.rundir import TRACKER


def publish(folder: Path, iteration: int, *, size: int = 10, step: int | None = None) -> Path:
    """A checkpoint like ours or Hugging Face's."""
    made = folder / f"iter_{iteration:07d}"
    made.mkdir(parents=True)
    (made / "weights.bin").write_bytes(b"x" * size)
    (made / "trainer_state.json").write_text(json.dumps({"global_step": step or iteration}))
    return made


def publish_megatron(folder: Path, iteration: int, leave_out: str | None = None) -> Path:
    made = folder / f"iter_{iteration:07d}"
    made.mkdir(parents=True)
    for name in {*MEGATRON_FILES, "__0_0.distcp"} - {leave_out}:
        (made / name).write_bytes(b"x" * 4)
    return made


def test_no_folder_yet_is_neither_value_nor_problem(tmp_path: Path) -> None:
    read = read_checkpoints(tmp_path / "checkpoints")
    assert (read.value, read.problem) == (None, None)


def test_a_file_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("")
    read = read_checkpoints(tmp_path / "checkpoints")
    assert read.value is None
    assert read.problem is not None


def test_published_checkpoints_in_order(tmp_path: Path) -> None:
    for iteration in (140, 70, 210):
        publish(tmp_path, iteration, size=iteration)
    (tmp_path / TRACKER).write_text("210\n")
    reading = read_checkpoints(tmp_path).value
    assert reading is not None
    assert reading.tracker == 210
    assert [each.iteration for each in reading.checkpoints] == [70, 140, 210]
    assert all(each.complete for each in reading.checkpoints)
    assert reading.checkpoints[0].size_bytes > 70
    assert reading.writing_bytes is None
    assert reading.last_complete is not None
    assert reading.last_complete.iteration == 210


@pytest.mark.parametrize(
    ("content", "iteration", "named"),
    [
        pytest.param(b"", None, False, id="seen while it is rewritten"),
        pytest.param(b" \n", None, False, id="blank"),
        pytest.param(b"70", 70, False, id="plain"),
        pytest.param(b" 70 \n", 70, False, id="with blanks"),
        pytest.param(b"release", None, False, id="imported weights"),
        pytest.param(b"-70", None, True, id="negative"),
        pytest.param(b"7\x000", None, True, id="nul"),
        pytest.param("\u0667".encode(), None, True, id="other digits"),
        pytest.param(b"9" * 60, None, True, id="absurd"),
        pytest.param(b"seventy", None, True, id="garbage"),
    ],
)
def test_tracker(tmp_path: Path, content: bytes, iteration: int | None, named: bool) -> None:
    (tmp_path / TRACKER).write_bytes(content)
    read = read_checkpoints(tmp_path)
    assert read.value is not None
    assert read.value.tracker == iteration
    assert (read.problem is not None) == named


def test_a_tracker_that_is_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / TRACKER).mkdir()
    read = read_checkpoints(tmp_path)
    assert read.value is not None
    assert read.value.tracker is None
    assert read.problem is not None


def test_a_tracker_that_is_a_fifo_does_not_hang_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / TRACKER)
    assert read_checkpoints(tmp_path).problem is not None


@given(st.binary(max_size=64))
def test_any_tracker_never_raises(raw: bytes) -> None:
    read = parse_tracker(raw)
    assert read.value is None or 0 <= read.value < 10**12


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(b'{"global_step": 71}', id="of another iteration"),
        pytest.param(b'{"global_step": 70', id="cut short"),
        pytest.param(b"", id="empty"),
        pytest.param(b"[70]", id="a list"),
        pytest.param(b'{"global_step": "70"}', id="a string"),
        pytest.param(b"\xff\xfe", id="binary"),
    ],
)
def test_a_trainer_state_must_be_whole_and_of_its_iteration(tmp_path: Path, state: bytes) -> None:
    made = publish(tmp_path, 70)
    (made / "trainer_state.json").write_bytes(state)
    reading = read_checkpoints(tmp_path).value
    assert reading is not None
    assert [each.complete for each in reading.checkpoints] == [False]
    assert reading.last_complete is None


def test_a_huge_trainer_state_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_STATE_LIMIT", 200)
    made = publish(tmp_path, 70)
    history = ", ".join(["1"] * 2000)
    whole = f'{{"global_step": 70, "log_history": [{history}]}}'
    state = made / "trainer_state.json"
    state.write_text(whole)
    assert [each.complete for each in _found(tmp_path)] == [True]
    state.write_text(whole[:-2])
    assert [each.complete for each in _found(tmp_path)] == [False]


def _no_parsing(_raw: bytes) -> dict[str, object]:
    raise ValueError("parsed")


def test_a_long_trainer_state_is_told_by_its_two_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Hugging Face's Trainer writes it; each checkpoint of a long run has all of its history."""
    logged = [{"epoch": 1.0, "loss": 2.0, "step": at} for at in range(1, 200)]
    state = {"epoch": 1.0, "global_step": 70, "log_history": logged, "max_steps": 200}
    whole = json.dumps(state, indent=2, sort_keys=True)
    made = publish(tmp_path, 70) / "trainer_state.json"
    monkeypatch.setattr(checkpoints.json, "loads", _no_parsing)
    made.write_text(whole + "\n")
    assert [each.complete for each in _found(tmp_path)] == [True]
    inner = whole.rindex("    }") + len("    }")
    for cut in (whole[:-2], whole[:inner], whole[: whole.rindex("\n}") + 1]):
        made.write_text(cut)
        assert [each.complete for each in _found(tmp_path)] == [False], cut[-20:]
    made.write_text(whole.replace('"global_step": 70', '"global_step": 71'))
    assert [each.complete for each in _found(tmp_path)] == [False]


def _found(folder: Path) -> list[checkpoints.Checkpoint]:
    reading = read_checkpoints(folder).value
    assert reading is not None
    return list(reading.checkpoints)


@pytest.mark.parametrize("missing", [None, *sorted(MEGATRON_FILES)])
def test_megatron_needs_all_its_files(tmp_path: Path, missing: str | None) -> None:
    publish_megatron(tmp_path, 42, leave_out=missing)
    assert [each.complete for each in _found(tmp_path)] == [missing is None]


def test_hugging_face_folders_count_too(tmp_path: Path) -> None:
    publish(tmp_path, 70).rename(tmp_path / "checkpoint-70")
    (tmp_path / "checkpoint-140").mkdir()
    found = _found(tmp_path)
    assert [(each.iteration, each.complete) for each in found] == [(70, True), (140, False)]


def test_an_unpublished_folder_is_being_written(tmp_path: Path) -> None:
    publish(tmp_path, 70)
    writing = tmp_path / ".iter_0000140.tmp"
    (writing / "deep").mkdir(parents=True)
    (writing / "deep" / "a").write_bytes(b"x" * 500)
    reading = read_checkpoints(tmp_path).value
    assert reading is not None
    assert reading.writing_bytes == 500
    assert [each.iteration for each in reading.checkpoints] == [70]


def test_a_folder_that_megatron_fills_in_place_is_being_written(tmp_path: Path) -> None:
    publish_megatron(tmp_path, 70, leave_out="metadata.json")  # an old crash
    publish_megatron(tmp_path, 140)
    publish_megatron(tmp_path, 210, leave_out="train_state.pt")
    (tmp_path / TRACKER).write_text("140")
    reading = read_checkpoints(tmp_path).value
    assert reading is not None
    assert reading.writing_bytes == 16
    assert [each.complete for each in reading.checkpoints] == [False, True, False]


def test_other_names_are_ignored(tmp_path: Path) -> None:
    for name in ("iter_70", "iter_00000xx", "trash", ".trash-iter_0000070", "checkpoint-"):
        (tmp_path / name).mkdir()
    (tmp_path / "iter_0000070").write_text("a file")
    (tmp_path / "iter_0000140").symlink_to(tmp_path / "nowhere")
    reading = read_checkpoints(tmp_path).value
    assert reading is not None
    assert reading.checkpoints == ()
    assert reading.writing_bytes is None


def test_an_empty_published_folder_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "iter_0000070").mkdir()
    assert [each.complete for each in _found(tmp_path)] == [False]


def test_a_finished_checkpoint_is_walked_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked: list[str] = []
    real = checkpoints._walk

    def counted(path: str, depth: int = 0) -> checkpoints._Folder | None:
        walked.append(Path(path).name)
        return real(path, depth)

    monkeypatch.setattr(checkpoints, "_walk", counted)
    made = publish(tmp_path, 70)
    (tmp_path / "iter_0000140").mkdir()
    probe = CheckpointProbe(tmp_path)
    for _ in range(3):
        probe.read()
    assert walked.count("iter_0000070") == 1
    assert walked.count("iter_0000140") == 3
    (made / "more").write_bytes(b"")
    os.utime(made, (1, 1))
    probe.read()
    assert walked.count("iter_0000070") == 2


def test_a_checkpoint_that_goes_is_forgotten(tmp_path: Path) -> None:
    made = publish(tmp_path, 70)
    probe = CheckpointProbe(tmp_path)
    probe.read()
    made.rename(tmp_path / ".trash")
    reading = probe.read().value
    assert reading is not None
    assert reading.checkpoints == ()


def test_a_folder_in_which_nothing_changes_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, 70)
    (tmp_path / TRACKER).write_text("70\n")
    probe, scans = CheckpointProbe(tmp_path), 0
    scan = probe._scanned

    def counted() -> object:
        nonlocal scans
        scans += 1
        return scan()

    monkeypatch.setattr(probe, "_scanned", counted)
    readings = [probe.read().value for _ in range(20)]
    assert scans < 8, "three until it is sure, then one in a while"
    assert {reading.tracker for reading in readings if reading} == {70}
    assert all(reading is not None and len(reading.checkpoints) == 1 for reading in readings)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda folder: publish(folder, 140), id="a new checkpoint"),
        pytest.param(lambda folder: (folder / TRACKER).write_text("140\n"), id="the tracker"),
        pytest.param(
            lambda folder: (folder / "iter_0000070" / "weights.bin").unlink(), id="a file is gone"
        ),
        pytest.param(
            lambda folder: (folder / "iter_0000140.tmp").mkdir(), id="a save that has begun"
        ),
    ],
)
def test_whatever_changes_later_is_seen_at_the_next_look(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    publish(tmp_path, 70)
    (tmp_path / TRACKER).write_text("70\n")
    probe = CheckpointProbe(tmp_path)
    for _ in range(6):
        before = probe.read().value
    change(tmp_path)
    after = probe.read().value
    assert before is not None
    assert after is not None
    assert replace(after, free_bytes=None) != replace(before, free_bytes=None)
