"""The parts of the watcher that need no process: events, seeds, locks, what is imported."""

from __future__ import annotations

import fcntl
import json
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
    GpuReading,
    History,
    Liveness,
    MachineReading,
    MemoryReading,
    Verdict,
)
from monitor.observe import Observer
from monitor.probes.clock import Now
from monitor.recorder import Recorder
from monitor.seeds import GPU_WAIT_S, SeedSearch, find_seeds
from monitor.target import read_target
from monitor.watch_state import WatchState, read_watch, write_watch

GIB = 1 << 30
HEARTBEAT = {
    "schema": 1,
    "attempt": 1,
    "seq": 3,
    "pid": 7,
    "boot_id": "b",
    "monotonic_s": 8.0,
    "stage": "train",
    "phase": "iteration",
    "done": 59,
}


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


@pytest.mark.parametrize(
    ("line", "held"),
    [
        pytest.param("1: FLOCK  ADVISORY  WRITE 7 08:0a:{inode} 0 EOF", True, id="as stat says"),
        pytest.param("1: FLOCK  ADVISORY  WRITE 7 00:2f:{inode} 0 EOF", True, id="as mounted"),
        pytest.param("1: FLOCK  ADVISORY  WRITE 7 00:30:{inode} 0 EOF", False, id="elsewhere"),
        pytest.param("1: POSIX  ADVISORY  WRITE 7 08:0a:{inode} 0 EOF", False, id="no flock"),
        pytest.param("1: -> FLOCK  ADVISORY  WRITE 7 08:0a:{inode} 0 EOF", False, id="it waits"),
        pytest.param("1: FLOCK  ADVISORY  WRITE 7 <none>:0 0 EOF", False, id="no file"),
    ],
)
def test_a_file_of_the_same_number_in_another_file_system_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, held: bool
) -> None:
    path = tmp_path / "keeper.lock"
    path.touch()
    table = line.format(inode=path.stat().st_ino).encode()
    monkeypatch.setattr(locks, "read_proc", lambda *_: table)
    monkeypatch.setattr(locks, "mounted_device", lambda _: (0, 0x2F))
    monkeypatch.setattr(locks.os, "major", lambda _: 8)
    monkeypatch.setattr(locks.os, "minor", lambda _: 10)
    assert locks.is_held(path) is held


def test_where_locks_cannot_be_seen_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hidden(*_: object) -> bytes:
        raise FileNotFoundError(2, "no such file", "/proc/locks")

    monkeypatch.setattr(locks, "read_proc", hidden)
    path = tmp_path / "keeper.lock"
    assert locks.is_held(path) is False, "what is not there is held by nobody"
    path.touch()
    assert locks.is_held(path) is None


def machine(total: int, *gpus: str) -> MachineReading:
    memory = MemoryReading(total_bytes=total, available_bytes=1, free_bytes=1, cached_bytes=0)
    readings = tuple(GpuReading(index=0, name=name) for name in gpus)
    return MachineReading(memory=memory, gpus=readings)


def past_run(root: Path, name: str, status: str, step: float, *gpus: str, **run: Any) -> Path:
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
        machine=machine(100 * GIB, *gpus),
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


@pytest.mark.parametrize(
    ("run", "interval"),
    [
        pytest.param({"recipe": {"train": {"save_interval": 70}}}, 70, id="as the recipe says"),
        pytest.param(
            {"recipe": {"train": {"save_interval": 70}}, "smoke": {"iterations": 10, "saves": 2}},
            5,
            id="a smoke run",
        ),
        pytest.param(
            {"recipe": {"train": {"iterations": "auto", "save_interval": 70}}, "iterations": 684},
            None,
            id="a run that chose its own length",
        ),
        pytest.param({"save_interval": 20, "recipe": {}}, 20, id="a foreign run's own"),
    ],
)
def test_the_save_interval_is_the_one_in_force(
    tmp_path: Path, run: dict[str, Any], interval: int | None
) -> None:
    write_json(tmp_path / "run.json", {"schema": 1, **run}, durable=False)
    assert read_target(tmp_path).save_interval == interval


def test_seeds_are_looked_for_once_the_gpu_has_answered(tmp_path: Path) -> None:
    past_run(tmp_path, "last", "finished", 2.0, "NVIDIA GB10")
    target = read_target(past_run(tmp_path, "new", "running", 9.0))
    search = SeedSearch(None, began_s=100.0)
    search.search(target, machine(100 * GIB), now_s=100.0)
    assert search.found is None
    assert search.limits(target) == target.limits
    search.search(target, machine(100 * GIB, "NVIDIA GB10"), now_s=101.0)
    assert search.found == {"iteration": 2.0, "first_save": 50.0}
    assert search.limits(target).seeds == search.found


def test_seeds_do_not_wait_for_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    past_run(tmp_path, "last", "finished", 2.0)
    target = read_target(past_run(tmp_path, "new", "running", 9.0))
    search = SeedSearch(None, began_s=100.0)
    search.search(target, machine(100 * GIB), now_s=100.0 + GPU_WAIT_S)
    assert search.found


def test_a_search_for_seeds_that_failed_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past_run(tmp_path, "last", "finished", 2.0)
    target = read_target(past_run(tmp_path, "new", "running", 9.0))
    search = SeedSearch(None, began_s=0.0)
    with monkeypatch.context() as patch:
        patch.setattr("monitor.seeds.find_seeds", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            search.search(target, machine(100 * GIB), now_s=GPU_WAIT_S)
    search.search(target, machine(100 * GIB), now_s=GPU_WAIT_S)
    assert search.found


def test_an_unreadable_heartbeat_leaves_the_last_one_standing(tmp_path: Path) -> None:
    path, text = tmp_path / "heartbeat.json", json.dumps(HEARTBEAT)
    state: dict[str, Any] = {"status": "running", "stage": "train", "attempt": 1}

    def look(content: str | None, **changes: Any) -> tuple[int | None, bool]:
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content)
        write_json(tmp_path / "state.json", state | changes, durable=False)
        facts, problems = observer.look(read_target(tmp_path), at(9))
        beat = facts.current_heartbeat
        return beat.done if beat else None, any(path.name in each for each in problems)

    observer = Observer(read_target(tmp_path))
    assert look("") == (None, True), "there was none before"
    assert look(text) == (59, False)
    assert look("{cut") == (59, True)
    assert look(None) == (59, True)
    assert look("{cut", stage="merge") == (None, True)
    assert look("{cut", attempt=2) == (None, True)


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
