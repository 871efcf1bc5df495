"""What lies on a file system that does not answer is not touched by the diagnosis itself."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from monitor.diagnosis import reach
from monitor.diagnosis.bounds import Bounds
from monitor.diagnosis.children import end_child
from monitor.diagnosis.places import FileSystem
from monitor.diagnosis.pyspy import dump
from monitor.diagnosis.reach import Reach
from monitor.diagnosis.sources import Sources
from monitor.diagnosis.values import Frame, ThreadView
from monitor.rundir import RunDir
from monitor.target import read_target


def attached(folder: Path, checkpoints: Path, log: Path) -> RunDir:
    """A foreign run whose checkpoints and log lie there."""
    run = RunDir(folder / "foreign-20260101-000000-abcd")
    run.root.mkdir()
    said: dict[str, object] = {"schema": 1, "kind": "foreign", "log": str(log)}
    said["paths"] = {"checkpoints": str(checkpoints)}
    run.run_json.write_text(json.dumps(said))
    return run


@pytest.mark.parametrize(
    ("dead", "checkpoints_go", "log_goes", "asked"),
    [
        pytest.param((), False, False, 2, id="both answer"),
        pytest.param(("ckpt",), True, False, 2, id="the checkpoints do not"),
        pytest.param(("logs",), False, True, 2, id="the log does not"),
        pytest.param(("ckpt", "logs"), True, True, 2, id="neither does"),
    ],
)
def test_only_what_answers_is_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dead: tuple[str, ...],
    checkpoints_go: bool,
    log_goes: bool,
    asked: int,
) -> None:
    calls: list[Path] = []

    def silent(path: Path, limit_s: float) -> FileSystem | None:
        calls.append(path)
        point = next((each for each in dead if each in path.parts), None)
        if point is None:
            return None
        return FileSystem(point=str(tmp_path / point), kind="nfs4", source="box:/x", silent_s=1.9)

    monkeypatch.setattr(reach, "silent", silent)
    run = attached(tmp_path, tmp_path / "ckpt" / "run", tmp_path / "logs" / "train.log")
    found = Reach.of(read_target(run.root), Bounds())
    seen = found.target()
    assert (seen.checkpoints != tmp_path / "ckpt" / "run") is checkpoints_go
    assert (seen.log is None) is log_goes
    assert any("does not answer" in each for each in found.problems) is log_goes
    assert len(calls) == asked


def test_a_log_beside_silent_checkpoints_is_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []

    def silent(path: Path, limit_s: float) -> FileSystem:
        calls.append(path)
        return FileSystem(point=str(tmp_path / "share"), kind="nfs4", source="x", silent_s=1.9)

    monkeypatch.setattr(reach, "silent", silent)
    run = attached(tmp_path, tmp_path / "share" / "ckpt", tmp_path / "share" / "train.log")
    found = Reach.of(read_target(run.root), Bounds())
    assert found.target().log is None
    assert calls == [tmp_path / "share" / "ckpt"]


@pytest.mark.parametrize("answer_s", [0.001, None])
def test_lines_on_a_file_server_are_read_only_where_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer_s: float | None
) -> None:
    source = tmp_path / "train.py"
    source.write_text("with lock:\n    step()\n")
    place = FileSystem(point=str(tmp_path), kind="nfs4", source="box:/x")
    asked: list[str] = []

    def ask(found: FileSystem, pid: int, limit_s: float) -> FileSystem:
        asked.append(found.point)
        return FileSystem(point=found.point, kind="nfs4", source="x", answer_s=answer_s)

    monkeypatch.setattr("monitor.diagnosis.sources.file_system_of", lambda *_: place)
    monkeypatch.setattr("monitor.diagnosis.sources.asked", ask)
    frames = (Frame("step", str(source), 2), Frame("main", str(tmp_path / "main.py"), 1))
    view = ThreadView(pid=os.getpid(), tid=1, name=None, still=True, stays_in=frames)
    found = Sources().add(view)
    assert found.line == ("step()" if answer_s is not None else None)
    assert found.holds == (("lock",) if answer_s is not None else ())
    assert asked == [str(tmp_path)], "once"


def test_a_spy_that_does_not_end_is_left_behind(tmp_path: Path) -> None:
    slow = tmp_path / "py-spy"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    got = dump(str(slow), os.getpid(), limit_s=0.5)
    assert got.problem is not None
    assert "gave no stacks" in got.problem


def test_a_child_that_cannot_be_killed_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    monkeypatch.setattr("monitor.diagnosis.children.REAP_S", 0.05)
    child = subprocess.Popen(["sleep", "600"], stdout=subprocess.PIPE)
    try:
        with monkeypatch.context() as held:
            held.setattr(child, "kill", lambda: None)  # as if a file server held it
            end_child(child)
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()
