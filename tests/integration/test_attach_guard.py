"""Watcher and guard of a foreign run: each brings the other back, or wakes somebody. For real."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attaching import Start, attach, attached, shells
from channels import Receiver, configure
from conftest import CLI, Lanewatch, read, until
from foreign_trainers import MEGATRON

from monitor import locks
from monitor.events import read_events
from monitor.rundir import RunDir

PYTHON = os.path.realpath(sys._base_executable)

__all__ = ["attached"]  # a fixture: it is used by its name


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a shell line in *tmp_path*, where the trainer's script lies."""
    (tmp_path / "train_megatron.py").write_text(MEGATRON)
    with shells(tmp_path) as start:
        yield start


@pytest.fixture
def server() -> Iterator[Receiver]:
    """Takes the alerts."""
    receiver = Receiver()
    yield receiver
    receiver.close()


def _a_trainer(attached: Lanewatch, start: Start, folder: Path) -> tuple[RunDir, int]:
    """A foreign run that goes on until it is ended, and its pid."""
    save = shlex.quote(str(folder / "runs-full"))
    options = f"--save {save} --train-iters 100000 --save-interval 100 --seconds 0.05"
    shell = start(f"{PYTHON} -u train_megatron.py {options} > train.log")
    pid = int(until(lambda: _child(shell), "the trainer starts"))
    return attach(attached, "--pid", str(pid))[0], pid


def _child(shell: subprocess.Popen[bytes]) -> str | None:
    children = Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text().split()
    return next((each for each in children if b"train_megatron" in _command(int(each))), None)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_where_both_died_and_none_can_be_had_the_service_wakes_somebody(
    attached: Lanewatch, start: Start, tmp_path: Path, server: Receiver
) -> None:
    configure(desk=server.url)
    run, _ = _a_trainer(attached, start, tmp_path)
    until(lambda: read(run.watch).get("pid"), "it is watched")
    both = (read(run.watch)["pid"], _guard_of(run) or 0)
    for number in (signal.SIGSTOP, signal.SIGKILL):  # so that none revives the other
        for pid in both:
            os.kill(pid, number)
    until(lambda: not any(map(_command, both)), "their end")
    run.logs.rename(run.root / "moved")
    run.logs.write_text("in the way")  # no watcher can start any more
    service = subprocess.Popen(
        [*CLI, "service", "run", "--every", "0.5"], stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: f"watcher lost: {run.root.name}" in server.titles, "the service wakes")
    finally:
        service.terminate()
        service.wait()
    assert f"first: lanewatch watch {run.root.name}" in server.bodies[0]
    assert "training (unwatched)" in attached.call("runs").stdout


def _actions(run: RunDir) -> list[str]:
    return [each.text for each in read_events(run.events) if each.kind == "action"]


def _guard_of(run: RunDir) -> int | None:
    """Who holds the guard's lock now, by its own word."""
    pid: int | None = (read(run.state).get("guard") or {}).get("pid")
    return pid if pid and _command(pid) and locks.is_held(run.guard_lock) else None


def test_watcher_and_guard_bring_each_other_back(
    attached: Lanewatch, start: Start, tmp_path: Path
) -> None:
    run, trainer = _a_trainer(attached, start, tmp_path)
    until(lambda: read(run.watch).get("pid"), "it is watched")
    first = read(run.state)["guard"]["pid"]
    os.kill(first, signal.SIGKILL)
    until(lambda: _guard_of(run) not in (None, first), "the watcher starts another guard")
    second = _guard_of(run)
    until(lambda: "guard restarted: the run is kept again" in _actions(run), "and says so")
    watcher = read(run.watch)["pid"]
    os.kill(watcher, signal.SIGKILL)
    until(lambda: read(run.watch).get("pid") not in (None, watcher), "which restarts a watcher")
    assert _guard_of(run) == second
    assert any(each.startswith("guard lost: ") for each in _actions(run))
    assert "the watcher died and was started again" in _actions(run)
    os.kill(trainer, signal.SIGKILL)
    until(lambda: not _command(second or 0), "both leave with the trainer")
    assert attached.json("status", run.root.name)["verdict"] == "ended"


def test_a_guard_that_dies_again_and_again_wakes_somebody(
    attached: Lanewatch, start: Start, tmp_path: Path, server: Receiver
) -> None:
    configure(desk=server.url)
    run, _ = _a_trainer(attached, start, tmp_path)

    def told() -> bool:
        pid = _guard_of(run)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return f"guard lost: {run.root.name}" in server.titles

    until(told, "the watcher gives up on the guard and wakes somebody", 60)
    index = server.titles.index(f"guard lost: {run.root.name}")
    assert "3 guards ended within 10 min" in server.bodies[index]
    assert f"first: lanewatch watch {run.root.name}" in server.bodies[index]
    assert attached.json("status", run.root.name)["watcher"]["alive"]
