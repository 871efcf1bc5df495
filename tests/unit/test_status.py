"""Status: what anyone may read of a run, without a write and without a process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fabricated import FabricatedRun, wait_for

from monitor.files import write_json
from monitor.model import Liveness, Status
from monitor.status import list_runs, read_status

KEYS = {
    "schema", "run", "lane", "engine", "stage", "phase", "attempt", "status", "verdict", "flags",
    "cause", "since", "iteration", "eta", "checkpoints", "memory", "evidence", "watcher", "keeper",
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Iterator[FabricatedRun]:
    fabricated = FabricatedRun(tmp_path / "runs" / "reference-1")
    yield fabricated
    fabricated.close()


def files_of(folder: Path) -> dict[str, int]:
    return {str(each): each.stat().st_mtime_ns for each in folder.rglob("*")}


def test_a_live_run_is_as_its_watcher_says(run: FabricatedRun) -> None:
    run.train(step=0.05, save=5)
    watcher = run.watch()
    wait_for(lambda: (run.watched("eta", "seconds") or 0) > 0)
    wait_for(lambda: run.events("checkpoint"))
    status = read_status(run.root)
    assert status.verdict is Liveness.TRAINING
    assert status.status is Status.RUNNING
    assert (status.watcher.pid, status.watcher.alive) == (watcher.pid, True)
    assert status.keeper.alive
    assert status.eta is not None
    assert status.memory is not None
    assert status.memory.process_peak_bytes
    assert status.loss == 1.0
    assert status.checkpoints[0].iteration == 5
    assert status.problems == ()
    value = json.loads(json.dumps(status.to_json()))
    assert value.keys() >= KEYS
    assert value["iteration"].keys() == {"value", "total", "error", "source"}
    assert value["iteration"]["total"] == 1000
    assert value["evidence"][0].keys() >= {"signal", "age_s", "supports"}
    assert value["keeper"].keys() == {"pid", "alive"}


def test_with_a_dead_watcher_one_look_is_taken_and_nothing_written(run: FabricatedRun) -> None:
    run.train(step=0.02, last=20)
    watcher = run.watch()
    wait_for(lambda: (run.watched("ages", "progress_s") or 0) > 0.5)
    watcher.kill()
    watcher.wait()
    before = files_of(run.root)
    status = read_status(run.root)
    assert status.verdict is Liveness.TRAINING
    assert status.iteration.value == 20
    assert not status.watcher.alive
    assert status.watcher.age_s is not None
    ages = {each.signal: each.age_s for each in status.evidence}
    assert (ages["heartbeat"] or 0) > 0.5
    assert files_of(run.root) == before


def test_without_any_watcher_the_heartbeat_speaks_for_itself(run: FabricatedRun) -> None:
    run.train()
    wait_for(lambda: (run.read("heartbeat.json") or {}).get("done"))
    status = read_status(run.root)
    assert status.verdict is Liveness.TRAINING
    assert status.watcher.pid is None


def test_a_dead_trainer_is_never_shown_alive(run: FabricatedRun) -> None:
    run.train()
    run.watch()
    wait_for(lambda: run.verdict() == "training")
    run.trainer.kill()
    run.trainer.wait()
    wait_for(lambda: run.verdict() == "lost")
    assert "has not recorded how" in read_status(run.root).reason


@pytest.mark.parametrize(
    ("status", "cause", "verdict"),
    [
        pytest.param("finished", None, Liveness.FINISHED, id="finished"),
        pytest.param("failed", "out of memory", Liveness.FAILED, id="failed"),
        pytest.param("stopped", None, Liveness.STOPPED, id="stopped"),
    ],
)
def test_a_run_that_is_over_is_as_its_keeper_recorded(
    run: FabricatedRun, status: str, cause: str | None, verdict: Liveness
) -> None:
    run.write_state(status, cause=cause, process=None, updated_wall=5.0)
    for found in (read_status(run.root), *list_runs(run.root.parent)):
        assert (found.verdict, found.cause, found.ended_wall) == (verdict, cause, 5.0)
        assert found.iteration.value == (1000 if status == "finished" else None)
        assert found.final


GARBAGE = b"\xff\x00{[" * 50


@pytest.mark.parametrize(
    "names",
    [
        pytest.param((), id="an empty folder"),
        pytest.param(("run.json",), id="run.json"),
        pytest.param(("state.json",), id="state.json"),
        pytest.param(
            ("run.json", "state.json", "watch.json", "heartbeat.json", "metrics.jsonl"),
            id="everything",
        ),
    ],
)
def test_a_folder_of_garbage_is_lost_and_says_what_is_wrong(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    folder = tmp_path / "runs" / "garbage"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(GARBAGE)
    for status in (read_status(folder), *list_runs(folder.parent)):
        assert status.verdict is Liveness.LOST
        assert status.run == "garbage"
        for name in names:
            if name != "metrics.jsonl":
                assert any(name in problem for problem in status.problems)
        json.dumps(status.to_json())


@pytest.mark.parametrize("value", [None, 3, [], {}, "x", -1, 10**400, {"pid": "x"}])
def test_fields_of_wrong_types_are_unknown(run: FabricatedRun, value: object) -> None:
    keys = ("stage", "attempt", "status", "stages", "process", "keeper", "watcher", "boot_id")
    write_json(run.root / "state.json", dict.fromkeys(keys, value), durable=False)
    run.write_run(**dict.fromkeys(("recipe", "paths", "stages", "iterations", "lane"), value))
    status = read_status(run.root)
    assert status.status is None
    json.dumps(status.to_json())


def test_the_list_is_newest_first_and_leaves_out_what_is_no_folder(run: FabricatedRun) -> None:
    run.write_run(created_wall=1.0)
    run.write_state("finished", process=None)
    later = shutil.copytree(run.root, run.root.with_name("reference-2"))
    value = json.loads((later / "run.json").read_text()) | {"run": "later", "created_wall": 2.0}
    (later / "run.json").write_text(json.dumps(value))
    (run.root.parent / "a-file").touch()
    (run.root.parent / ".trash").mkdir()
    assert [each.run for each in list_runs(run.root.parent)] == ["later", "reference-1"]
    assert list_runs(run.root.parent / "missing") == []
