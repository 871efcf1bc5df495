"""Saving what is shown of a log: the file is there whole, or not at all, and it is said why."""

from __future__ import annotations

import errno
import os
import queue
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tui.new_file
from tui.log_search import Search
from tui.new_file import new_file

LONG_S = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where something is saved to, and nothing else is."""
    (tmp_path / "kept").mkdir()
    return tmp_path / "kept"


class Asked:
    """A search of a log of its own, and what it answers."""

    def __init__(self, raw: bytes, *patterns: str) -> None:
        self.answers: queue.Queue[dict[str, Any]] = queue.Queue()
        descriptor = os.memfd_create("log")
        os.write(descriptor, raw)
        self.search = Search(descriptor, patterns, lambda _, said: self.answers.put(said))
        os.close(descriptor)

    def last(self) -> dict[str, Any]:
        """The answer after which there is nothing to wait for."""
        while True:
            said = self.answers.get(timeout=LONG_S)
            if said.get("done") is not False:
                return said

    def gone(self) -> None:
        self.search._process.wait(LONG_S)


@pytest.fixture
def asked() -> Iterator[Callable[..., Asked]]:
    begun: list[Asked] = []

    def begin(*arguments: Any) -> Asked:
        begun.append(Asked(*arguments))
        return begun[-1]

    yield begin
    for each in begun:
        each.search.close()
        each.gone()


LINES = b"".join(b"step=%d loss=1.0\n" % at for at in range(200_000))


def test_all_of_it_or_what_the_filter_leaves(asked: Callable[..., Asked], folder: Path) -> None:
    for patterns, expected in (((), LINES), (("step=17 ",), b"step=17 loss=1.0\n")):
        path = folder / "log.txt"
        a_search = asked(LINES, *patterns)
        a_search.search.save(str(path))
        assert a_search.last()["problem"] is None
        assert path.read_bytes() == expected
        assert os.listdir(folder) == ["log.txt"]  # noqa: PTH208
        path.unlink()


def test_a_pattern_that_is_given_up_leaves_nothing(
    asked: Callable[..., Asked], folder: Path
) -> None:
    hard = LINES + b"a" * 60 + b"!\n"
    a_search = asked(hard, "(a+)+$|step")
    a_search.search.save(str(folder / "log.txt"))
    assert "put it more simply" in a_search.last()["why"]
    a_search.gone()
    assert list(folder.iterdir()) == []


def test_a_disk_that_is_full_leaves_nothing(asked: Callable[..., Asked], folder: Path) -> None:
    a_search = asked(LINES)
    resource.prlimit(a_search.search._process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
    a_search.search.save(str(folder / "log.txt"))
    assert a_search.last()["problem"] == os.strerror(errno.EFBIG)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("how", ["ended", "asker is gone"])
def test_saving_that_is_broken_off_leaves_nothing(
    asked: Callable[..., Asked], folder: Path, how: str
) -> None:
    a_search = asked(b"a" * 30 + b"!\n" + LINES * 20, "(a+)+$|step")
    a_search.search.save(str(folder / "log.txt"))
    while not list(folder.iterdir()):
        assert a_search.search._process.poll() is None
    if how == "ended":
        a_search.search.close()
    else:
        assert a_search.search._process.stdin is not None
        a_search.search._process.stdin.close()
    a_search.gone()
    assert list(folder.iterdir()) == []


def test_what_stands_there_already_is_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "log.txt"
    path.symlink_to("nowhere")
    with pytest.raises(FileExistsError), new_file(path):
        pytest.fail("nothing is written then")
    path.unlink()

    def write() -> None:
        with new_file(path) as file:
            file.write("mine")
            path.write_text("theirs")

    def refused(*_: Any) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    with pytest.raises(FileExistsError):
        write()
    monkeypatch.setattr(Path, "hardlink_to", refused)
    path.unlink()
    with pytest.raises(FileExistsError):
        write()
    assert [each.read_text() for each in folder.iterdir()] == ["theirs"]


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_is_nobody_elses(
    folder: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.setattr(
            Path, "hardlink_to", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "none"))
        )
    path = folder / ("x" * 250)
    with new_file(path) as file:
        assert file.write("all\n")
        assert not path.exists()
    assert path.read_text() == "all\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(list(folder.iterdir())) == 1
    assert tui.new_file.NAME_BYTES < 250
