"""An event means "look now"; without events a rescan still finds everything."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watchdog.observers.api import BaseObserver

from monitor.probes.checkpoints import read_checkpoints
from monitor.probes.watch_folder import CheckpointWatch

WAIT_S = 20.0

Start = Callable[[Path], tuple[CheckpointWatch, threading.Event]]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[CheckpointWatch] = []

    def begin(folder: Path) -> tuple[CheckpointWatch, threading.Event]:
        look_now = threading.Event()
        watch = CheckpointWatch(folder, look_now)
        started.append(watch)
        watch.start()
        return watch, look_now

    yield begin
    for watch in started:
        watch.stop()


def test_a_published_checkpoint_wakes_us(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (tmp_path / "work" / "save").mkdir(parents=True)
    _, look_now = start(folder)
    look_now.clear()
    (tmp_path / "work" / "save").rename(folder / "iter_0000070")
    assert look_now.wait(WAIT_S)


def test_a_replaced_tracker_wakes_us(tmp_path: Path, start: Start) -> None:
    _, look_now = start(tmp_path)
    (tmp_path / ".tracker.tmp").write_text("70")
    assert look_now.wait(WAIT_S)
    look_now.clear()
    (tmp_path / ".tracker.tmp").replace(tmp_path / "tracker")
    assert look_now.wait(WAIT_S)


def test_our_own_reading_does_not_wake_us(tmp_path: Path, start: Start) -> None:
    (tmp_path / "iter_0000070").mkdir()
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("70")
    _, look_now = start(tmp_path)
    look_now.clear()
    for _ in range(5):
        read_checkpoints(tmp_path)
    assert not look_now.wait(0.7)


def test_what_happens_below_does_not_wake_us(tmp_path: Path, start: Start) -> None:
    (tmp_path / "iter_0000070").mkdir()
    _, look_now = start(tmp_path)
    look_now.clear()
    (tmp_path / "iter_0000070" / "weights").write_bytes(b"x")
    assert not look_now.wait(0.7)


def test_a_folder_that_is_made_late_is_picked_up(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "checkpoints"
    watch, look_now = start(folder)
    assert not look_now.is_set()
    folder.mkdir()
    watch.rescan()
    assert look_now.is_set()
    look_now.clear()
    (folder / "iter_0000070").mkdir()
    assert look_now.wait(WAIT_S)
    assert watch.problem is None


def test_a_folder_that_is_made_again_is_followed(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    watch, look_now = start(folder)
    for _ in range(3):
        folder.rmdir()
        folder.mkdir()
        for _ in range(100):  # one rescan may come before the news of the end does
            watch.rescan()
            look_now.clear()
            (folder / "iter_0000070").mkdir()
            woken = look_now.wait(0.2)
            (folder / "iter_0000070").rmdir()
            if woken and not watch._gone:
                break
        else:
            pytest.fail("no event from the new folder")


def test_a_folder_that_is_renamed_away_is_followed(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    watch, look_now = start(folder)
    folder.rename(tmp_path / "old")
    folder.mkdir()
    watch.rescan()
    look_now.clear()
    (folder / "iter_0000070").mkdir()
    assert look_now.wait(WAIT_S)


@pytest.mark.parametrize(
    ("method", "number"),
    [
        pytest.param("schedule", errno.ENOSPC, id="no inotify watches left"),
        pytest.param("start", errno.EMFILE, id="no inotify instances left"),
    ],
)
def test_without_inotify_there_are_only_rescans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start, method: str, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "no more of them")

    with monkeypatch.context() as patch:
        patch.setattr(BaseObserver, method, refuse)
        watch, _ = start(tmp_path)
        assert watch.problem is not None
        assert "no more of them" in watch.problem
    watch.rescan()
    assert watch.problem is None


def test_stopping_ends_the_threads(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    watch = CheckpointWatch(tmp_path, threading.Event())
    watch.start()
    ours = set(threading.enumerate()) - before
    assert ours
    assert all(thread.daemon for thread in ours)
    watch.stop()
    watch.stop()
    for thread in ours:
        thread.join(10)
    assert not any(thread.is_alive() for thread in ours)
