"""Publishing checkpoints: no reader and no kill ever finds one that is named but not whole."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.payload import checkpoints as module
from runners.payload.checkpoints import KEEP_FILE, TRACKER, Checkpoints, is_whole_trainer_save

SOURCE = Path(__file__).parents[2]
FILES = {"adapter.safetensors": 60_000, "optimizer.pt": 90_000, "sub/state.json": 10}


def _save(folder: Path, iteration: int) -> Path:
    """What a trainer leaves: every file says which iteration it belongs to."""
    for name, size in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{iteration:07d}".encode() * (size // 7 + 1))
    return folder


def _is_whole(folder: Path, iteration: int) -> bool:
    """Every file is there, all of it, and of this iteration. Opens each: slow readers count."""
    for name, size in FILES.items():
        try:
            content = (folder / name).read_bytes()
        except OSError:
            return False
        if content != f"{iteration:07d}".encode() * (size // 7 + 1):
            return False
    return True


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    (tmp_path / "work").mkdir()
    return Checkpoints(tmp_path / "checkpoints", tmp_path / "work")


def _publish(checkpoints: Checkpoints, tmp_path: Path, *iterations: int) -> None:
    for iteration in iterations:
        checkpoints.publish(_save(tmp_path / f"save-{iteration}", iteration), iteration)


def test_a_published_checkpoint_is_named_by_the_tracker(
    checkpoints: Checkpoints, tmp_path: Path
) -> None:
    _publish(checkpoints, tmp_path, 70)
    assert (checkpoints.folder / TRACKER).read_text() == "70\n"
    assert _is_whole(checkpoints.folder / "iter_0000070", 70)
    assert _names(checkpoints.folder) == ["iter_0000070", TRACKER]
    assert checkpoints.published() == [70]


def test_the_files_are_links_private_and_outlive_the_trainers_own(
    checkpoints: Checkpoints, tmp_path: Path
) -> None:
    _publish(checkpoints, tmp_path, 70)
    link = checkpoints.path(70) / "optimizer.pt"
    assert link.samefile(tmp_path / "save-70" / "optimizer.pt")
    assert link.stat().st_mode & 0o777 == 0o600
    assert checkpoints.path(70).stat().st_mode & 0o777 == 0o700
    module.remove_tree(tmp_path / "save-70")
    assert _is_whole(checkpoints.path(70), 70)


def test_where_links_are_impossible_files_are_copied(
    checkpoints: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(module.os, "link", refuse)
    _publish(checkpoints, tmp_path, 70)
    assert _is_whole(checkpoints.path(70), 70)
    assert not (checkpoints.path(70) / "optimizer.pt").samefile(tmp_path / "save-70/optimizer.pt")


def test_a_link_in_a_save_is_published_as_the_file_it_means(
    checkpoints: Checkpoints, tmp_path: Path
) -> None:
    save = _save(tmp_path / "save", 5)
    (save / "optimizer.pt").rename(tmp_path / "elsewhere.pt")
    (save / "optimizer.pt").symlink_to(tmp_path / "elsewhere.pt")
    checkpoints.publish(save, 5)
    assert not (checkpoints.path(5) / "optimizer.pt").is_symlink()
    assert _is_whole(checkpoints.path(5), 5)


def test_publishing_what_was_never_saved_raises_and_changes_nothing(
    checkpoints: Checkpoints, tmp_path: Path
) -> None:
    _publish(checkpoints, tmp_path, 70)
    with pytest.raises(FileNotFoundError):
        checkpoints.publish(tmp_path / "nothing", 140)
    assert checkpoints.latest() == 70
    assert checkpoints.published() == [70]


def test_rotation_keeps_the_newest_and_what_is_in_use(
    checkpoints: Checkpoints, tmp_path: Path
) -> None:
    _publish(checkpoints, tmp_path, 10, 20, 30, 40, 50)
    (tmp_path / "work" / KEEP_FILE).write_text("20\n")
    assert checkpoints.rotate(2) == [10, 30]
    assert checkpoints.published() == [20, 40, 50]


def test_keep_last_0_keeps_all(checkpoints: Checkpoints, tmp_path: Path) -> None:
    _publish(checkpoints, tmp_path, 10, 20, 30)
    assert checkpoints.rotate(0) == []
    assert checkpoints.published() == [10, 20, 30]


@given(
    there=st.sets(st.integers(1, 40), min_size=1),
    keep_last=st.integers(0, 6),
    busy=st.sets(st.integers(1, 40), max_size=3),
    data=st.data(),
)
def test_rotation_never_deletes_what_anyone_names(
    there: set[int], keep_last: int, busy: set[int], data: st.DataObject
) -> None:
    named = data.draw(st.sampled_from(sorted(there)))
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        checkpoints = Checkpoints(root / "checkpoints", root)
        for iteration in there:
            checkpoints.path(iteration).mkdir(parents=True)
        (checkpoints.folder / TRACKER).write_text(f"{named}\n")
        (root / KEEP_FILE).write_text("".join(f"{each}\n" for each in busy))
        gone = set(checkpoints.rotate(keep_last))
        left = set(checkpoints.published())
    newest = sorted(there)[-keep_last:] if keep_last else sorted(there)
    assert left | gone == there
    assert not left & gone
    assert left == {*newest, named} | (busy & there)


def test_what_a_killed_process_left_is_swept_away(checkpoints: Checkpoints, tmp_path: Path) -> None:
    _publish(checkpoints, tmp_path, 10)
    (checkpoints.folder / ".iter_0000020.tmp" / "sub").mkdir(parents=True)
    (checkpoints.folder / ".trash-iter_0000005-123").mkdir()
    checkpoints.rotate(0)
    assert _names(checkpoints.folder) == ["iter_0000010", TRACKER]


@pytest.mark.parametrize(
    ("content", "whole"),
    [
        pytest.param('{"global_step": 10}', True, id="finished"),
        pytest.param('{"global_step": 9}', False, id="of another step"),
        pytest.param('{"global_st', False, id="still being written"),
        pytest.param("", False, id="just created"),
        pytest.param(None, False, id="not there yet"),
    ],
)
def test_a_trainers_save_is_whole_once_its_state_says_so(
    tmp_path: Path, content: str | None, whole: bool
) -> None:
    if content is not None:
        (tmp_path / "trainer_state.json").write_text(content)
    assert is_whole_trainer_save(tmp_path, 10) is whole


class _Killed(BaseException):
    """Stands for SIGKILL: no handler of ours runs after it."""


@contextlib.contextmanager
def _killed_before(step: int, patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let *step* changes of the disk happen, then nothing more; yields those that happened."""
    done: list[str] = []

    def counted(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*args: object, **kwargs: object) -> object:
            if len(done) >= step:
                raise _Killed
            done.append(name)
            return call(*args, **kwargs)

        return wrapper

    with patch.context() as inner:
        for name in ("mkdir", "link", "rename", "replace", "fsync", "write", "unlink", "rmdir"):
            inner.setattr(os, name, counted(name, getattr(os, name)))
        inner.setattr(module, "exchange", counted("exchange", module.exchange))
        with contextlib.suppress(_Killed):
            yield done


def _can_exchange(folder: Path) -> bool:
    """Not every file system can swap two folders."""
    one, other = folder / "one", folder / "other"
    one.mkdir()
    other.mkdir()
    return module.exchange(one, other)


@pytest.mark.parametrize("can_exchange", [True, False])
@pytest.mark.parametrize(
    ("before", "again"),
    [
        pytest.param((), 10, id="the first checkpoint"),
        pytest.param((10,), 20, id="the next checkpoint"),
        pytest.param((10, 20), 20, id="the same one again, named by the tracker"),
        pytest.param((20,), 20, id="the only one again"),
        pytest.param((10, 20, 30), 20, id="an older one again"),
    ],
)
def test_killed_between_any_two_steps_the_tracker_names_something_whole(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: tuple[int, ...],
    again: int,
    can_exchange: bool,
) -> None:
    can_exchange = can_exchange and _can_exchange(tmp_path)
    if not can_exchange:
        monkeypatch.setattr(module, "exchange", lambda *_: False)
    finished = False
    for step in range(200):
        root = tmp_path / str(step)
        (root / "work").mkdir(parents=True)
        checkpoints = Checkpoints(root / "checkpoints", root / "work")
        _publish(checkpoints, root, *before)
        source = _save(root / "again", again)
        finished = False
        with _killed_before(step, monkeypatch):
            checkpoints.publish(source, again)
            finished = True
        named = checkpoints.latest()
        if named is not None:
            assert _is_whole(checkpoints.path(named), named), f"after step {step}"
        assert all(_is_whole(checkpoints.path(each), each) for each in checkpoints.published())
        assert named is not None or before in ((), (again,))
        if can_exchange and before and again == before[-1]:
            assert named == again, "it was never out of place"
        checkpoints.publish(source, again)
        checkpoints.rotate(0)
        assert checkpoints.latest() == again
        assert not [each for each in _names(checkpoints.folder) if each.startswith(".")]
        if finished:
            assert step > 10
            return
    pytest.fail("publishing never finished")


PUBLISHER = """
import shutil, sys
from pathlib import Path
from lanewatch_payload.checkpoints import Checkpoints
root, saves, repeat = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
files = {files!r}
checkpoints = Checkpoints(root / "checkpoints", root / "work")
number = 0
while number < saves or saves == 0:
    number += 1
    iteration = number if not repeat else number % repeat + 1
    save = root / f"save-{{number}}"
    shutil.rmtree(save, ignore_errors=True)  # never into files that are published
    for name, size in files.items():
        path = save / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{{iteration:07d}}".encode() * (size // 7 + 1))
    checkpoints.publish(save, iteration)
    checkpoints.rotate(3)
"""


@pytest.fixture
def start_publisher(tmp_path: Path) -> Callable[[Path, int, int], subprocess.Popen[bytes]]:
    package = tmp_path / "payload" / "lanewatch_payload"
    package.mkdir(parents=True)
    for path in (SOURCE / "runners" / "payload").glob("*.py"):
        (package / path.name).write_bytes(path.read_bytes())

    def start(root: Path, saves: int, repeat: int) -> subprocess.Popen[bytes]:
        (root / "work").mkdir(parents=True, exist_ok=True)
        script = PUBLISHER.format(files=FILES)
        return subprocess.Popen(
            [sys.executable, "-c", script, str(root), str(saves), str(repeat)],
            env=os.environ | {"PYTHONPATH": str(package.parent)},
        )

    return start


def _inode(folder: Path) -> int | None:
    try:
        return folder.stat().st_ino
    except FileNotFoundError:
        return None


def _found_torn(checkpoints: Path, seen: set[int]) -> list[str]:
    """Look once; what was replaced or rotated away while we looked is no finding."""
    torn: list[str] = []
    try:
        text = (checkpoints / TRACKER).read_text()
    except FileNotFoundError:
        text = ""
    if text:
        if re.fullmatch(r"[0-9]+\n", text) is None:
            return [f"tracker {text!r}"]
        seen.add(int(text))
    names = [each.name for each in checkpoints.glob("iter_*")] if checkpoints.is_dir() else []
    if text and not (checkpoints / f"iter_{int(text):07d}").exists():
        still = (checkpoints / TRACKER).read_text() == text
        torn += [f"the tracker names {text!r}, which is not there"] if still else []
    for name in names:
        before = _inode(checkpoints / name)
        if before is None or _is_whole(checkpoints / name, int(name[5:])):
            continue
        if _inode(checkpoints / name) == before:
            torn.append(f"{name} is not whole")
    return torn


@pytest.mark.parametrize("repeat", [0, 4], ids=["new ones", "the same ones again and again"])
def test_a_reader_that_polls_through_20_saves_sees_nothing_torn(
    tmp_path: Path,
    start_publisher: Callable[[Path, int, int], subprocess.Popen[bytes]],
    repeat: int,
) -> None:
    root, seen, torn, polls = tmp_path / "run", set[int](), list[str](), 0
    process = start_publisher(root, 20, repeat)
    while process.poll() is None:
        torn += _found_torn(root / "checkpoints", seen)
        polls += 1
        time.sleep(0.001)
    assert process.returncode == 0
    assert torn == []
    assert len(seen) >= 2
    assert polls >= 20
    assert _found_torn(root / "checkpoints", seen) == []
    assert int((root / "checkpoints" / TRACKER).read_text()) == (20 if not repeat else 1)


def test_kill_9_at_any_moment_leaves_the_tracker_naming_something_whole(
    tmp_path: Path, start_publisher: Callable[[Path, int, int], subprocess.Popen[bytes]]
) -> None:
    root, draw = tmp_path / "run", random.Random(20261123)
    moments: set[int] = set()
    for saves in range(20):
        process = start_publisher(root, 0, 5)
        for _ in range(1 + saves % 3):  # not by time alone: a save takes long on a busy disk
            before = _inode(root / "checkpoints" / TRACKER)
            while _inode(root / "checkpoints" / TRACKER) == before:
                assert process.poll() is None
                time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert _found_torn(root / "checkpoints", moments) == []
    assert len(moments) >= 2
