"""A file that stays open is read anew each time, and never for another process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.probes import standing_files
from monitor.probes.process import identify, read_process
from monitor.probes.raw import read_proc
from monitor.probes.standing_files import StandingFiles


@pytest.fixture
def files() -> Iterator[StandingFiles]:
    made = StandingFiles()
    yield made
    made.close()


def test_each_read_begins_at_the_start_and_sees_what_is_new(
    files: StandingFiles, tmp_path: Path
) -> None:
    path = tmp_path / "figures"
    for content in (b"12", b"3", b"x" * 70_000):
        path.write_bytes(content)
        assert files.read(str(path), 65536) == content[:65536]


def test_it_reads_what_an_ordinary_read_does(files: StandingFiles) -> None:
    me = identify(os.getpid())
    assert me is not None
    ours, plain = read_process(me, files.read).value, read_process(me).value
    assert ours is not None
    assert plain is not None
    assert (ours.pids, ours.cgroup is None) == (plain.pids, plain.cgroup is None)
    assert files.read("/proc/version") == read_proc("/proc/version")


def test_a_process_that_ended_is_an_error_and_its_file_is_let_go(files: StandingFiles) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    path = f"/proc/{child.pid}/stat"
    assert files.read(path).startswith(str(child.pid).encode())
    child.communicate(b"\n")
    for _ in range(2):
        with pytest.raises(OSError, match="No such"):
            files.read(path)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - names only


def test_no_more_than_so_many_stay_open(
    files: StandingFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing_files, "MOST_OPEN", 3)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
    for number in range(9):
        path = tmp_path / str(number)
        path.write_text(str(number))
        assert files.read(str(path)) == str(number).encode()
    assert len(os.listdir("/proc/self/fd")) == before + 3  # noqa: PTH208 - names only
