"""What the tests of `attach` share: shells that end with the test, and runs that are let go."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Lanewatch, end, read, until
from foreign_trainers import HUGGING_FACE, MEGATRON

from monitor.rundir import RunDir

Start = Callable[..., subprocess.Popen[bytes]]
PYTHON = os.path.realpath(sys._base_executable)


@contextlib.contextmanager
def shells(folder: Path) -> Iterator[Start]:
    """Start shell lines in *folder*, each in a session of its own, which is ended in the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(line: str) -> subprocess.Popen[bytes]:
        shell = subprocess.Popen(
            ["bash", "-c", f"{line}; true"],  # with a second command bash stays as the parent
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        started.append(shell)
        return shell

    yield start
    for shell in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()


@pytest.fixture
def attached(lanewatch: Lanewatch) -> Iterator[Lanewatch]:
    """The command line; the watchers of its foreign runs are gone after the test."""
    yield lanewatch
    for run in lanewatch.root.glob("foreign-*"):
        end(read(run / "state.json").get("guard"))
        end(read(run / "watch.json"))


def attach(lanewatch: Lanewatch, *words: str) -> tuple[RunDir, dict[str, Any]]:
    """Attach by *words*; the run and what was said of it."""
    said = lanewatch.json("attach", *words)
    return RunDir(lanewatch.root / said["run"]), said


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a shell line in *tmp_path*, where the trainers' scripts lie."""
    (tmp_path / "train_megatron.py").write_text(MEGATRON)
    (tmp_path / "train_hf.py").write_text(HUGGING_FACE)
    with shells(tmp_path) as start:
        yield start


def megatron(folder: Path, iterations: int = 1000, seconds: float = 0.05, **more: int) -> str:
    """The command line of a trainer that saves every tenth iteration into *folder*/runs-full."""
    extra = "".join(f" --{name.replace('_', '-')} {value}" for name, value in more.items())
    return (
        f"{PYTHON} -u train_megatron.py --save {shlex.quote(str(folder / 'runs-full'))} "
        f"--train-iters {iterations} --save-interval 10 --seconds {seconds}{extra}"
    )


def trainer_of(shell: subprocess.Popen[bytes], script: str = "train_megatron.py") -> int:
    """The pid of the Python that the shell has started."""

    def found() -> int | None:
        path = Path(f"/proc/{shell.pid}/task/{shell.pid}/children")
        for child in path.read_text().split():
            command = Path(f"/proc/{child}/cmdline").read_bytes()
            if script.encode() in command and b"bash" not in command:
                return int(child)
        return None

    return int(until(found, "the trainer starts"))


def status(lanewatch: Lanewatch, run: RunDir) -> dict[str, Any]:
    said: dict[str, Any] = lanewatch.json("status", run.root.name)
    return said
