"""A log is followed by bounded bites, whatever is done to the file meanwhile."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from monitor.model import LogProgress
from monitor.probes import log as log_probe
from monitor.probes.follow import READ_BYTES
from monitor.probes.log import FIRST_BYTES, ProgressReader, read_log


def step(iteration: int, loss: str = "1.5E+00", total: int = 625) -> bytes:
    return (
        f" iteration {iteration:8d}/{total:8d} | elapsed time per iteration (ms): 32400.0 |"
        f" lm loss: {loss} | number of skipped iterations:   0 |"
        " number of nan iterations:   0 |\n"
    ).encode()


class Log:
    """A log and whoever follows it."""

    def __init__(self, path: Path, total: int | None = None) -> None:
        self.path = path
        self.reader = ProgressReader(path, total)

    def append(self, raw: bytes) -> None:
        with self.path.open("ab") as stream:
            stream.write(raw)

    def read(self) -> LogProgress | None:
        return self.reader.read(read_log(self.path).value)

    def iteration(self) -> int | None:
        word = self.read()
        return word.iteration if word else None


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "train.log")


def test_a_missing_and_a_silent_log_say_nothing(log: Log) -> None:
    assert log.read() is None
    log.append(b"hello\n\n")
    assert log.read() is None


def test_what_is_appended_is_read_once_it_is_a_line(log: Log) -> None:
    log.append(step(1))
    assert log.iteration() == 1
    whole = step(2)
    log.append(whole[:40])
    assert log.iteration() == 1
    log.append(whole[40:])
    assert log.iteration() == 2


def test_a_line_that_is_still_being_written_lacks_nothing_yet(log: Log) -> None:
    log.append(step(1) + step(2).replace(b" lm loss: 1.5E+00 |", b"")[:-1])
    word = log.read()
    assert word is not None
    assert (word.iteration, word.nan) == (1, False)
    log.append(b"\n")
    word = log.read()
    assert word is not None
    assert (word.iteration, word.nan) == (2, True)


def test_the_bar_at_the_end_counts_though_no_line_ends_it(log: Log) -> None:
    log.append(b"\r  0%|          | 0/625 [00:00<?, ?it/s]")
    for done in range(1, 4):
        log.append(b"\r  0%%|          | %d/625 [00:%02d<?, 10.00s/it]" % (done, 10 * done))
        assert log.iteration() == done
    log.append(b"\r  0%|          | 4/6")
    assert log.iteration() == 3


def test_a_log_that_did_not_change_is_not_opened(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append(step(1))
    first = log.read()
    monkeypatch.setattr(log.reader._follower, "read", lambda: pytest.fail("it was opened"))
    assert log.read() is first


def test_of_a_long_log_only_the_end_is_read_at_first(log: Log) -> None:
    log.append(step(1, total=7) + b"x" * (3 * READ_BYTES) + b"\n" + step(2))
    assert log.iteration() == 2
    assert log.reader._follower._offset == log.path.stat().st_size


def test_the_last_line_of_a_long_log_is_read_at_the_first_look(log: Log) -> None:
    log.append((step(1) * (1 + FIRST_BYTES // len(step(1)))) + step(9))
    assert log.iteration() == 9


def test_one_look_reads_one_bite(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append(step(1))
    log.read()
    asked: list[int] = []
    real = os.pread

    def counted(descriptor: int, size: int, offset: int) -> bytes:
        asked.append(size)
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", counted)
    log.append(b"noise\n" * READ_BYTES + step(2))
    looks = 0
    while log.iteration() != 2:
        looks += 1
        assert looks < 10
    assert max(asked) <= READ_BYTES
    assert len(asked) == looks + 1


def test_a_log_that_runs_away_is_caught_at_its_end(log: Log) -> None:
    log.append(step(1))
    log.read()
    log.append(b"noise\n" * 1_000_000 + step(2))
    log.read()
    assert log.iteration() == 2


@pytest.mark.parametrize("way", ["cut", "replaced", "rotated"])
def test_a_log_that_is_begun_anew_is_read_anew(log: Log, way: str) -> None:
    log.append(step(30, loss="9.0E+00") * 5)
    assert log.iteration() == 30
    if way == "cut":
        os.truncate(log.path, 0)
        log.append(step(1))
    elif way == "replaced":
        other = log.path.with_name("new")
        other.write_bytes(step(1))
        other.replace(log.path)
    else:
        log.path.rename(log.path.with_name("train.log.1"))
        assert log.iteration() == 30
        log.append(step(1))
    word = log.read()
    assert word is not None
    assert (word.iteration, word.loss) == (1, 1.5)


def test_epochs_are_iterations_once_a_checkpoint_says_how_many(log: Log) -> None:
    log.append(b"{'loss': '0.7', 'learning_rate': '0.01', 'epoch': '0.24'}\n")
    reading = read_log(log.path).value
    assert log.iteration() is None
    word = log.reader.read(reading, 50.0)
    assert word is not None
    assert word.iteration == 12
    log.append(b"{'loss': '0.6', 'learning_rate': '0.01', 'epoch': '0.26'}\n")
    word = log.reader.read(read_log(log.path).value, 50.0)
    assert word is not None
    assert word.iteration == 13


def test_a_fifo_in_its_place_does_not_hang_us(log: Log) -> None:
    log.append(step(1))
    log.read()
    log.path.unlink()
    os.mkfifo(log.path)
    assert log.iteration() == 1


def test_a_known_total_holds_also_after_the_log_began_anew(tmp_path: Path) -> None:
    log = Log(tmp_path / "l", total=625)
    log.append(b" 50%|#####     | 4/8 [00:05<00:05,  1.25s/it]\n" * 3)
    assert log.iteration() is None
    os.truncate(log.path, 0)
    log.append(b" 50%|#####     | 4/8 [00:05<00:05,  1.25s/it]\n")
    assert log.iteration() is None


def test_an_error_is_safe_to_show(log: Log) -> None:
    log.append(b"RuntimeError: \x1b[31m[bold]\x1b]0;title\x07x\xff\n")
    word = log.read()
    assert word is not None
    assert word.error == "RuntimeError: [bold]x\ufffd"


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(b"x" * 100, id="a line without an end"),
        pytest.param(b"\0" * 100, id="zeros"),
        pytest.param(b"\r" * 100, id="returns"),
        pytest.param(b"\r 1%|x| 1/100 [0:01<0:01, 1.00s/it]", id="a bar"),
        pytest.param(b"Traceback (most recent call last):\n", id="tracebacks"),
    ],
)
def test_nothing_is_kept_of_what_never_ends(log: Log, endless: bytes) -> None:
    block = endless * (READ_BYTES // 4 // len(endless))
    log.append(block)
    log.read()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(2):
            log.append(block)
            log.read()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < log_probe.READ_BYTES // 2
