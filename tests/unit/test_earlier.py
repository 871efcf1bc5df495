"""What an earlier training left in log and folder is not taken for the one that is watched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monitor.earlier import resumed_at, without_an_earlier_end
from monitor.probes.log import ProgressReader, read_log
from monitor.readings import Checkpoint, CheckpointReading
from runners.attach.command_line import read_command
from runners.attach.expected import from_log
from runners.attach.search import expected_of
from runners.attach.values import Found

BEGAN = 1_800_000_000.0
HOUR = 3600.0
BAR = (
    "\r 99%|#########9| 29/30 [16:07<00:33, 33.36s/it]"
    "\r100%|##########| 30/30 [16:40<00:00, 33.36s/it]"
)


def steps(*iterations: int, total: int = 30) -> str:
    return "".join(
        f" iteration {each:8d}/{total:8d} | elapsed time per iteration (ms): 32400.0 |"
        " lm loss: 1.5E+00 | number of skipped iterations:   0 | number of nan iterations:   0 |\n"
        for each in iterations
    )


class Log:
    """A log that was appended to, and when it was last written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "train.log"
        self.reader = ProgressReader(self.path, since_wall=BEGAN)

    def said(self, text: str, at_wall: float, resumed_at: int = 0) -> int | None:
        with self.path.open("a") as stream:
            stream.write(text)
        os.utime(self.path, (at_wall, at_wall))
        word = self.reader.read(read_log(self.path).value, resumed_at=resumed_at)
        return word.iteration if word else None


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


@pytest.mark.parametrize("old", [steps(*range(1, 31)), "\n".join([BAR] * 3), steps(30) + "[after"])
def test_what_was_written_before_it_began_is_not_its_own(log: Log, old: str) -> None:
    assert log.said(old, BEGAN - HOUR) is None
    assert log.said("\n> loading\n" + steps(1, 2), BEGAN + 120.0) == 2


@pytest.mark.parametrize("old", [steps(*range(1, 31)), BAR])
def test_nor_is_what_it_had_no_time_for(log: Log, old: str) -> None:
    assert log.said(old + "\n> loading\n", BEGAN + 20.0) is None
    assert from_log(log.path, BEGAN).total is None
    assert log.said(steps(1, 2, total=40), BEGAN + 120.0) == 2


@pytest.mark.parametrize(
    ("text", "at_s", "resumed_at", "iteration"),
    [
        pytest.param(steps(*range(1, 31)), 30 * 32.4 + 60.0, 0, 30, id="it did all of it"),
        pytest.param(steps(561, 562), 150.0, 560, 562, id="it was resumed"),
        pytest.param(steps(116), 6 * HOUR, 0, 116, id="its log has been stuck for hours"),
    ],
)
def test_what_it_can_have_said_counts_at_once(
    log: Log, text: str, at_s: float, resumed_at: int, iteration: int
) -> None:
    assert log.said(text, BEGAN + at_s, resumed_at) == iteration


def folder(*walls: tuple[int, float], tracker: int | None) -> CheckpointReading:
    return CheckpointReading(
        tracker=tracker,
        checkpoints=tuple(
            Checkpoint(iteration=each, complete=True, size_bytes=9, modified_wall=wall)
            for each, wall in walls
        ),
    )


def test_a_folder_that_is_used_again_does_not_finish_it() -> None:
    old = folder((20, BEGAN - 2 * HOUR), (30, BEGAN - HOUR), tracker=30)
    left = without_an_earlier_end(old, 30, BEGAN)
    assert (left.tracker, [each.iteration for each in left.checkpoints]) == (None, [20])
    assert resumed_at(left, BEGAN) == 20
    own = folder((20, BEGAN - HOUR), (30, BEGAN + HOUR), tracker=30)
    for reading, total in ((own, 30), (old, 625), (old, None)):
        assert without_an_earlier_end(reading, total, BEGAN) is reading


def test_the_end_of_an_earlier_training_in_the_same_folder_is_not_its_end(tmp_path: Path) -> None:
    saved, log = tmp_path / "checkpoint-30", tmp_path / "train.log"
    saved.mkdir()
    (saved / "trainer_state.json").write_text('{"global_step": 30, "max_steps": 30}')
    log.write_text("\r  0%|    | 0/99 [00:00<?, ?it/s]\r  1%|    | 1/99 [00:01<01:38, 1.00s/it]")
    folder, output = Found(str(tmp_path), ""), Found(str(log), "")
    os.utime(saved, (BEGAN - HOUR, BEGAN - HOUR))
    os.utime(log, (BEGAN + 60.0, BEGAN + 60.0))
    hints = read_command(["python", "train.py"])
    assert expected_of(hints, folder, output, BEGAN).total == 99
    assert expected_of(hints, folder, output, BEGAN - 2 * HOUR).total == 30
