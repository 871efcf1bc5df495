"""The parts of the watcher that need no process: events, seeds, locks, what is imported."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from monitor import locks
from monitor.codec import dumps
from monitor.events import read_events
from monitor.files import write_json
from monitor.model import (
    Checkpoint,
    CheckpointReading,
    History,
    Liveness,
    MachineReading,
    MemoryReading,
    Verdict,
)
from monitor.probes.clock import Now
from monitor.recorder import Recorder
from monitor.seeds import find_seeds
from monitor.target import read_target
from monitor.watch_state import WatchState, read_watch, write_watch

GIB = 1 << 30


def at(second: float) -> Now:
    return Now(boot_id="b", monotonic_s=second, wall_s=1000.0 + second)


def recorded(path: Path, *looks: Liveness) -> list[str]:
    recorder = Recorder(path)
    for second, liveness in enumerate(looks):
        recorder.note_verdict(Verdict(liveness=liveness, reason="why"), at(second))
    return [event.text for event in read_events(path)]


T, S, X = Liveness.TRAINING, Liveness.SUSPECT, Liveness.STALLED


@pytest.mark.parametrize(
    ("looks", "texts"),
    [
        pytest.param([T, T, T], ["training: why"], id="once"),
        pytest.param([T, S, T], ["training: why"], id="one look of trouble is none"),
        pytest.param(
            [T, Liveness.SAVING, T, Liveness.SAVING], ["training: why"], id="saving is training"
        ),
        pytest.param(
            [T, S, S, X, X, T],
            [
                "training: why",
                "suspect: why",
                "stalled: why",
                "training: recovered, it was stalled for 1 s: why",
            ],
            id="a stall and its end",
        ),
        pytest.param([T, Liveness.LOST, Liveness.LOST, T], ["training: why"], id="briefly lost"),
        pytest.param(
            [T, Liveness.FAILED], ["training: why", "failed: why"], id="an end is told at once"
        ),
    ],
)
def test_a_verdict_is_an_event_once_it_has_held(
    tmp_path: Path, looks: list[Liveness], texts: list[str]
) -> None:
    assert recorded(tmp_path / "events.jsonl", *looks) == texts


def test_a_checkpoint_saved_anew_is_told_again_and_an_old_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"

    def tell(wall: float, complete: bool = True) -> int:
        found = Checkpoint(iteration=70, complete=complete, size_bytes=GIB, modified_wall=wall)
        Recorder(path).note_checkpoints(CheckpointReading(checkpoints=(found,)), at(0))
        return len(read_events(path))

    assert [tell(5.0, complete=False), tell(5.0), tell(5.0), tell(6.0)] == [0, 1, 1, 2]


def test_events_wait_for_the_disk_in_order(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.mkdir()
    recorder = Recorder(path)
    recorder.say("note", "first", at(1))
    recorder.say("note", "second", at(2))
    assert not recorder.settled
    assert recorder.failures == 2
    path.rmdir()
    recorder.flush()
    assert [event.text for event in read_events(path)] == ["first", "second"]
    assert recorder.settled


def test_a_lock_is_seen_without_being_touched(tmp_path: Path) -> None:
    path = tmp_path / "keeper.lock"
    assert not locks.is_held(path)
    descriptor = locks.take(path)
    assert descriptor is not None
    assert locks.is_held(path)
    assert locks.take(path) is None
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    assert not locks.is_held(path)


def machine(total: int) -> MachineReading:
    memory = MemoryReading(total_bytes=total, available_bytes=1, free_bytes=1, cached_bytes=0)
    return MachineReading(memory=memory)


def past_run(root: Path, name: str, status: str, step: float, **run: Any) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    values = {"run": name, "recipe_hash": "h", "lane": "reference", "kind": "full"} | run
    write_json(folder / "run.json", values, durable=False)
    write_json(folder / "state.json", {"status": status}, durable=False)
    state = WatchState(
        pid=1,
        start_ticks=1,
        boot_id="b",
        monotonic_s=1.0,
        wall_s=1.0,
        verdict=Verdict(liveness=Liveness.FINISHED, reason="done"),
        since_wall=1.0,
        history=History(step_max_s=step, first_save_s=50.0),
        machine=machine(100 * GIB),
    )
    write_watch(folder / "watch.json", state)
    return folder


def test_limits_are_seeded_by_the_last_finished_run_of_the_same_kind(tmp_path: Path) -> None:
    past_run(tmp_path, "older", "finished", 1.0, created_wall=1.0)
    past_run(tmp_path, "last", "finished", 2.0, created_wall=2.0)
    past_run(tmp_path, "failed", "failed", 3.0, created_wall=3.0)
    past_run(tmp_path, "other", "finished", 4.0, created_wall=4.0, recipe_hash="x")
    past_run(tmp_path, "lane", "finished", 5.0, created_wall=5.0, lane="nemo")
    target = read_target(past_run(tmp_path, "new", "running", 9.0))
    assert find_seeds(target, machine(100 * GIB)) == {"iteration": 2.0, "first_save": 50.0}
    assert find_seeds(target, machine(50 * GIB)) == {}, "another box"


def test_watch_json_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = past_run(tmp_path, "run", "running", 2.5) / "watch.json"
    state = read_watch(path).value
    assert state is not None
    assert state.history.step_max_s == 2.5
    assert state.verdict.liveness is Liveness.FINISHED
    again = tmp_path / "again.json"
    write_watch(again, state)
    assert again.read_bytes() == path.read_bytes()


def test_what_has_no_json_form_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="object"):
        dumps({"x": object()})


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("monitor.watcher", {"pydantic", "textual", "rich", "psutil", "statistics", "asyncio"}),
        ("monitor.status", {"pydantic", "textual", "watchdog", "sqlite3", "subprocess"}),
    ],
)
def test_imports_stay_light(module: str, heavy: set[str]) -> None:
    code = (
        f"import sys, {module}; print(*(name for name in {sorted(heavy)} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
