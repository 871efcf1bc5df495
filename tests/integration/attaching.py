"""What the tests of `attach` share: shells that end with the test, and runs that are let go."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Lanewatch, end, read

from monitor.rundir import RunDir

Start = Callable[..., subprocess.Popen[bytes]]


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
