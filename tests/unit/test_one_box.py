"""One box, one run: who is on it, whose turn it is, and what a second launch is told."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.model import Liveness, Status
from monitor.rundir import RunDir
from monitor.status import read_status
from runners.box import launching, occupants, on_the_box, require_free
from runners.errors import RunnerError, RunStateError
from runners.keeper_state import KeeperState
from runners.turn import Turn, await_turn


class Box:
    """A run root in which some runs live."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._held: list[int] = []

    def run(
        self, number: int, status: str = "running", *, lives: bool = True, **state: object
    ) -> RunDir:
        run = RunDir(self.root / f"reference-20261128-15000{number}-000{number}")
        run.root.mkdir(parents=True, exist_ok=True)
        run.run_json.write_text(json.dumps({"run": run.root.name, "iterations": 625}))
        run.state.write_text(json.dumps({"status": status, "attempt": 1, **state}))
        if lives:
            self.hold(run)
        return run

    def hold(self, run: RunDir) -> None:
        lock = os.open(run.keeper_lock, os.O_RDWR | os.O_CREAT)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self._held.append(lock)

    def queued(self, number: int, after: RunDir, *, lives: bool = True) -> RunDir:
        queue = {"after": after.root.name, "over": False}
        return self.run(number, "queued", lives=lives, queue=queue)

    def close(self) -> None:
        for lock in self._held:
            os.close(lock)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path)
    yield made
    made.close()


def test_a_free_box(box: Box) -> None:
    require_free(box.root)
    box.run(1, "finished")
    box.run(2, "running", lives=False)
    require_free(box.root)


def test_a_busy_box_says_which_run_and_how_far(box: Box) -> None:
    run = box.run(1, stage="train")
    beat = {
        "schema": 1, "attempt": 1, "seq": 9, "pid": 1, "boot_id": "b", "monotonic_s": 1.0,
        "stage": "train", "phase": "iteration", "done": 116, "total": 625,
    }  # fmt: skip
    run.heartbeat.write_text(json.dumps(beat))
    with pytest.raises(RunStateError) as refusal:
        require_free(box.root)
    assert f"{run.root.name} is at iteration 116 of 625" in str(refusal.value)
    assert "--anyway" in str(refusal.value)
    assert f"--after {run.root.name}" in str(refusal.value)


def test_behind_the_run_that_is_there_one_may_queue(box: Box) -> None:
    run = box.run(1)
    require_free(box.root, after=run)


def test_two_may_not_wait_for_the_same_run_but_one_behind_the_other(box: Box) -> None:
    first = box.run(1)
    second = box.queued(2, first)
    with pytest.raises(RunStateError, match=f"--after {second.root.name}"):
        require_free(box.root, after=first)
    require_free(box.root, after=second)


def test_a_run_that_is_resumed_is_not_in_its_own_way(box: Box) -> None:
    run = box.run(1)
    require_free(box.root, itself=run)


def test_who_waits_is_an_occupant_with_the_run_it_waits_for(box: Box) -> None:
    first = box.run(1)
    box.queued(2, first)
    assert [each.after for each in occupants(box.root)] == [None, first.root.name]


def test_of_two_launches_at_once_one_waits(box: Box) -> None:
    with launching(box.root):
        lock = os.open(box.root / ".launch.lock", os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(lock)


def test_a_root_that_cannot_be_written_is_said(box: Box, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunnerError, match="file"), launching(tmp_path / "file" / "runs"):
        pass


@pytest.mark.parametrize("status", ["finished", "failed", "stopped"])
def test_any_end_is_an_end(box: Box, status: str) -> None:
    assert Turn(box.run(1, status, lives=False)).over() == f"it {status}"


def test_a_living_run_is_waited_for_and_one_that_is_gone_is_not(box: Box) -> None:
    assert Turn(box.run(1)).over() is None
    assert Turn(RunDir(box.root / "gone")).over() == "its folder was deleted"


def test_a_run_that_nobody_keeps_is_waited_for_a_while(box: Box) -> None:
    now = [0.0]
    run = box.run(1, lives=False)
    turn = Turn(run, clock=lambda: now[0], left_s=90)
    assert turn.over() is None
    now[0] = 80
    assert turn.over() is None
    box.hold(run)  # the service brought its keeper back
    now[0] = 100
    assert turn.over() is None
    box.close()
    box._held.clear()
    assert turn.over() is None
    now[0] = 189
    assert turn.over() is None
    now[0] = 191
    assert turn.over() == "nobody keeps it any more"


def test_a_wait_ends_with_an_interruption(box: Box) -> None:
    run, said, moved = box.run(1), [], []
    await_turn(
        box.run(2), run.root.name, lambda *event: said.append(event), lambda: True, moved.append
    )
    assert said == [("note", f"queued: waits for the end of {run.root.name}")]
    assert moved == []


@pytest.mark.parametrize("left", ["stopped", "nobody keeps it", "deleted"])
def test_behind_one_that_left_the_queue_the_run_ahead_of_it_is_waited_for(
    box: Box, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trains, B waits for A, C for B: where B is stopped C must not start beside A."""
    first = box.run(1)
    second = box.queued(2, first, lives=left == "deleted")
    third = box.queued(3, second)
    if left == "stopped":
        queue = {"after": first.root.name, "over": False}
        box.run(2, "stopped", lives=False, queue=queue)
    monkeypatch.setattr("runners.turn.LEFT_ALONE_S", 0.0)
    monkeypatch.setattr("runners.turn.POLL_S", 0.0)
    looks, said, moved = [], [], []

    def look() -> bool:
        looks.append(len(moved))
        if len(looks) == 2 and left == "deleted":
            shutil.rmtree(second.root)
        if looks.count(1) == 3:
            box.run(1, "finished", lives=False)
        return len(looks) > 50

    say = lambda *event: said.append(event[1])  # noqa: E731 - one line says it
    await_turn(third, second.root.name, say, look, moved.append)
    assert moved == [first.root.name]
    assert looks.count(1) == 3, "the run ahead was waited for"
    assert any(f"waits for the end of {first.root.name}" in each for each in said[1:])
    assert said[-1] == f"its turn: {first.root.name} is over (it finished)"


def test_a_run_that_was_begun_beside_the_one_ahead_is_waited_for_as_well(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trains, B waits for it, C was launched --anyway: where A ends B must not start beside C."""
    first = box.run(1, "finished", lives=False)
    second, beside = box.queued(2, first), box.run(3)
    box.queued(4, second)  # who waits behind B is not on the box
    monkeypatch.setattr("runners.turn.POLL_S", 0.0)
    moved: list[str] = []
    said: list[str] = []
    looks = []

    def look() -> bool:
        looks.append(len(moved))
        if looks.count(1) == 3:
            box.run(3, "finished", lives=False)
        return len(looks) > 50

    def on_box(known: set[str]) -> str | None:
        return on_the_box(box.root, known)

    say = lambda *event: said.append(event[1])  # noqa: E731 - one line says it
    await_turn(second, first.root.name, say, look, moved.append, on_box)
    assert moved == [beside.root.name]
    name = beside.root.name
    assert said[1:] == [
        f"{first.root.name} is over (it finished), but {name} is on the box: waits for its end",
        f"its turn: {name} is over (it finished)",
    ]


def test_behind_one_that_had_its_turn_nobody_else_is_waited_for(box: Box) -> None:
    first = box.run(1)
    queue = {"after": first.root.name, "over": True}
    second = box.run(2, "failed", lives=False, queue=queue)
    moved: list[str] = []
    await_turn(box.run(3), second.root.name, lambda *_: None, lambda: False, moved.append)
    assert moved == []


def test_the_queue_in_state_json_is_taken_over_and_left_for_good(box: Box) -> None:
    run = RunDir(box.root / "reference-20261128-150009-0009")
    run.root.mkdir()
    state = KeeperState(run, ("train",), "boot")
    assert not state.had_its_turn
    state.queue("other")
    state.save()
    again = KeeperState(run, ("train",), "boot")
    assert (again.status, again.had_its_turn) == (Status.QUEUED, False)
    again.begin_turn()
    again.save()
    assert KeeperState(run, ("train",), "boot").had_its_turn
    assert again.status is Status.STARTING
    again.begin_attempt()
    assert again.had_its_turn, "a resume does not queue again"


def test_status_tells_of_the_queue_and_of_a_keeper_that_is_gone(box: Box) -> None:
    first = box.run(1)
    waiting = box.queued(2, first)
    seen = read_status(waiting.root)
    assert (seen.status, seen.verdict) == (Status.QUEUED, Liveness.STARTING)
    assert seen.reason == f"queued: waits for the end of {first.root.name}"
    alone = box.queued(3, first, lives=False)
    assert f"`lanewatch watch {alone.root.name}`" in read_status(alone.root).reason
