"""A run that lanewatch did not start: what run.json alone says of it, from target to status."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from channels import configure
from fabricated import named, wait_for

from monitor.files import read_json, write_json
from monitor.model import Liveness
from monitor.rundir import RunDir
from monitor.status import list_runs, read_status
from monitor.target import read_target
from runners.attach.foreign import refuse
from runners.errors import RunStateError
from tui.cli.main import run as lanewatch
from tui.detail import DetailReader

LOGS = Path(__file__).parent.parent / "samples" / "logs"
RUN = "foreign-20260101-000000-0001"


class ForeignRun:
    """A run folder that names a real process, log and checkpoints which live elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "runs" / RUN
        self.log = folder / "train.log"
        self.checkpoints = folder / "out"
        (self.root / "logs").mkdir(parents=True)
        self.checkpoints.mkdir()
        self.log.write_text("hello\n")
        self.trainer = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        self.write()

    def write(self, **changes: Any) -> None:
        values: dict[str, Any] = {
            "schema": 1,
            "run": self.root.name,
            "kind": "foreign",
            "lane": "nemo",
            "created_wall": 1.0,
            "iterations": 30,
            "save_interval": 10,
            "log": str(self.log),
            "process": named(self.trainer.pid),
            "paths": {"checkpoints": str(self.checkpoints)},
        }
        write_json(self.root / "run.json", values | changes, durable=False)

    def save(self, iteration: int) -> None:
        folder = self.checkpoints / f"iter_{iteration:07d}"
        folder.mkdir()
        for name in (".metadata", "metadata.json", "train_state.pt", "run_config.yaml"):
            (folder / name).write_text("x")
        (self.checkpoints / "latest_checkpointed_iteration.txt").write_text(str(iteration))

    def end(self) -> None:
        self.trainer.communicate(b"\n", timeout=20)

    def watch(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "monitor.watcher", str(self.root), "--tick", "0.05"]
        )

    def log_says(self, field: str) -> Any:
        word = read_json(self.root / "watch.json").value or {}
        return (word.get("log_progress") or {}).get(field)

    def word(self, key: str) -> Any:
        return (read_json(self.root / "watch.json").value or {}).get(key)

    def watched(self) -> str | None:
        return (self.word("verdict") or {}).get("liveness")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[ForeignRun]:
    made = ForeignRun(tmp_path)
    yield made
    made.trainer.kill()
    made.trainer.communicate()


def test_run_json_alone_says_what_to_watch(run: ForeignRun) -> None:
    run.write(container={"id": "abc", "name": "box"}, hidden=["this user may not read X"])
    target = read_target(run.root)
    assert target.foreign
    assert target.stage == "train"
    assert target.log == run.log
    assert target.checkpoints == run.checkpoints
    assert target.process is not None
    assert target.process.pid == run.trainer.pid
    assert (target.total, target.save_interval, target.container) == (30, 10, "box")
    assert target.problems == ("this user may not read X",)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param({"log": None}, "log", id="log not known"),
        pytest.param({"log": "a\0b"}, "log", id="log that no file can have as its name"),
        pytest.param({"process": {"pid": 1}}, "process", id="process without its start"),
        pytest.param({"container": "box"}, "container", id="container of a wrong shape"),
    ],
)
def test_what_is_not_known_is_none(run: ForeignRun, changes: dict[str, Any], field: str) -> None:
    run.write(**changes)
    assert getattr(read_target(run.root), field) is None


def test_a_state_json_that_strayed_into_the_folder_is_not_believed(run: ForeignRun) -> None:
    write_json(run.root / "state.json", {"status": "failed", "stage": "merge"}, durable=False)
    target = read_target(run.root)
    assert (target.final, target.stage) == (False, "train")


def test_unknown_checkpoints_are_nobodys(run: ForeignRun) -> None:
    run.write(paths={"checkpoints": None})
    status = read_status(run.root)
    assert status.foreign is not None
    assert status.foreign.checkpoints is None
    assert status.iteration.value is None


def test_its_status_has_no_keeper_and_no_trouble_from_that(run: ForeignRun) -> None:
    run.save(10)
    for status in (read_status(run.root), *list_runs(run.root.parent)):
        assert status.verdict in (Liveness.STARTING, Liveness.TRAINING)
        assert status.iteration.value == 10
        assert (status.keeper.pid, status.keeper.alive) == (None, False)
        assert status.foreign is not None
        assert (status.foreign.pid, status.foreign.log) == (run.trainer.pid, str(run.log))
        assert status.problems == ()
        assert not status.final


@pytest.mark.parametrize(
    ("reached", "verdict", "says"),
    [
        pytest.param(20, Liveness.ENDED, "exit status not observable", id="short of it"),
        pytest.param(30, Liveness.FINISHED, "its checkpoint is whole; exit status", id="its total"),
    ],
)
def test_its_end_tells_how_far_it_got(
    run: ForeignRun, reached: int, verdict: Liveness, says: str
) -> None:
    run.save(reached)
    run.end()
    status = read_status(run.root)
    assert status.verdict is verdict
    assert f"reached {reached} of 30" in status.reason
    assert says in status.reason
    assert (status.final, status.succeeded) == (True, verdict is Liveness.FINISHED)


def test_one_whose_log_alone_told_of_its_last_iteration_succeeded(run: ForeignRun) -> None:
    run.write(paths={"checkpoints": None})
    line = (
        " [2026-11-23 19:28:50] iteration {:8d}/      30 | consumed samples:            8 | "
        "elapsed time per iteration (ms): 688.0 | learning rate: 5.000000E-04 | "
        "global batch size:     8 | lm loss: 6.621053E+00 | loss scale: 1.0 | "
        "grad norm: 11.535 | number of skipped "
        "iterations:   0 | number of nan iterations:   0 |\n"
    )
    run.log.write_text("".join(line.format(each) for each in range(1, 31)))
    watcher = run.watch()
    wait_for(lambda: (run.word("verdict") or {}).get("iteration") == 30)
    run.end()
    assert watcher.wait(20) == 0
    status = read_status(run.root)
    assert (status.verdict, status.iteration.value) == (Liveness.ENDED, 30)
    assert status.succeeded


def test_an_end_without_a_total_is_no_success(run: ForeignRun) -> None:
    run.write(iterations=None)
    run.save(30)
    run.end()
    assert not read_status(run.root).succeeded


def test_what_the_watcher_saw_of_the_end_stays(run: ForeignRun) -> None:
    watcher = run.watch()
    wait_for(lambda: run.watched() == "starting")
    run.save(20)
    wait_for(lambda: run.watched() == "training")
    run.end()
    assert watcher.wait(20) == 0
    assert run.watched() == "ended"
    run.save(30)  # someone trains into the same folder
    run.write(process={"pid": 1, "start_ticks": 1, "boot_id": "another boot"})
    for status in (read_status(run.root), *list_runs(run.root.parent)):
        assert status.verdict is Liveness.ENDED
        assert "reached 20 of 30" in status.reason
        assert status.ended_wall is not None
        assert status.final


def test_a_list_has_its_last_checkpoint_also_where_no_tracker_names_it(run: ForeignRun) -> None:
    watcher = run.watch()
    wait_for(lambda: run.watched() == "starting")
    for iteration in (10, 20):
        saved = run.checkpoints / f"checkpoint-{iteration}"
        saved.mkdir()
        (saved / "trainer_state.json").write_text(f'{{"global_step": {iteration}}}')
    wait_for(lambda: run.watched() == "training")
    run.end()
    assert watcher.wait(20) == 0
    (status,) = list_runs(run.root.parent)
    assert status.final
    assert [each.iteration for each in status.checkpoints] == [20]


def test_a_pid_that_now_belongs_to_another_process_has_ended(run: ForeignRun) -> None:
    mine = named(os.getpid())
    assert mine is not None
    run.write(process=mine | {"start_ticks": mine["start_ticks"] - 1})
    assert read_status(run.root).verdict is Liveness.ENDED


def test_its_log_tells_what_no_heartbeat_does(run: ForeignRun) -> None:
    run.write(iterations=None)
    run.log.write_bytes((LOGS / "megatron-bridge-0.4.2-killed.log").read_bytes())
    for status in (read_status(run.root), *list_runs(run.root.parent)):
        assert status.loss == pytest.approx(5.303933)
        assert status.lr == pytest.approx(4.150943e-04)
        assert status.step_s == pytest.approx(0.1595)
        assert (status.iteration.total, status.phase) == (2130, "saving")


def test_a_loss_that_its_log_leaves_out_is_a_flag(run: ForeignRun) -> None:
    lines = (LOGS / "megatron-bridge-0.4.2-train.log").read_bytes().splitlines(keepends=True)
    watcher = run.watch()
    run.log.write_bytes(b"".join(lines[:100]))
    wait_for(lambda: run.log_says("loss") is not None)
    assert read_status(run.root).flags == ()
    nan = re.sub(rb" lm loss: \S+ \|", b"", next(line for line in lines if b" 30/" in line))
    with run.log.open("ab") as log:
        log.write(nan)
    wait_for(lambda: run.log_says("nan"))
    status = read_status(run.root)
    assert "nan-loss" in status.flags
    assert "the loss is no number since iteration 30" in status.reason
    assert status.loss is None
    watcher.terminate()
    watcher.wait(20)


def test_the_screen_shows_the_log_where_it_lies(run: ForeignRun) -> None:
    run.log.write_text("one\ntwo\n")
    detail = DetailReader(run.root).read(read_status(run.root), 1.0)
    assert (detail.log_name, detail.log_lines) == ("train.log", ("one", "two"))
    run.write(log=None)
    assert DetailReader(run.root).read(read_status(run.root), 1.0).log_lines == ()


def test_nobody_is_told_to_kill_a_pid_that_may_be_anothers_by_now(run: ForeignRun) -> None:
    with pytest.raises(RunStateError, match=f"kill -TERM {run.trainer.pid}"):
        refuse(RunDir(run.root), "stop")
    run.end()
    with pytest.raises(RunStateError, match="has ended already"):
        refuse(RunDir(run.root), "stop")


def test_a_channel_that_fails_a_foreign_run_is_listed_while_it_lives(
    run: ForeignRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LANEWATCH_RUNS", str(run.root.parent))
    configure(desk="json://127.0.0.1:1")
    watcher = run.watch()
    wait_for(run.watched)
    watcher.kill()
    watcher.wait()
    word = read_json(run.root / "watch.json").value or {}
    word["parts"]["alerts"]["channels_failing"] = {"desk": "no route"}
    write_json(run.root / "watch.json", word, durable=False)
    assert lanewatch(["alerts", "list"]) == 0
    assert "desk" in (said := capsys.readouterr().out)
    assert "fails: no route" in said
    run.end()
    assert lanewatch(["alerts", "list"]) == 0
    assert "fails" not in capsys.readouterr().out
