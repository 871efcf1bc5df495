"""The command line as a user runs it, on real runs of the tiny reference model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine import Engine, running_engine, why_not_here

from monitor.probes.process import find_by_environment
from monitor.rundir import RunDir

RECIPE = Path(__file__).parents[2] / "recipes" / "demo.toml"
CLI = (sys.executable, "-P", "-m", "tui")
PATIENCE_S = 120.0


class Lanewatch:
    """Calls the command line in a run root of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, *words: str, code: int | None = 0, **env: str) -> str:
        """Run one command; fail unless it exits with *code* and without a traceback."""
        done = self.call(*words, **env)
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        if code is not None:
            assert done.returncode == code, (
                f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout if code == 0 else done.stderr

    def call(
        self, *words: str, patience_s: float = PATIENCE_S, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one command and return all of it."""
        return subprocess.run(
            [*CLI, *words],
            capture_output=True,
            text=True,
            timeout=patience_s,
            check=False,
            stdin=subprocess.DEVNULL,
            env=os.environ | env,
        )

    def json(self, *words: str, code: int = 0) -> Any:
        """Run one command with --json and return what it says."""
        done = self.call(*words, "--json")
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stderr}"
        return json.loads(done.stdout)

    def launch(self, *words: str, iterations: int, save_interval: int) -> RunDir:
        """Start a run of the reference lane on the tiny model and return its folder."""
        run_id = self(
            "launch",
            str(RECIPE),
            "--lane=reference",
            "--engine=local",
            f"--set=train.iterations={iterations}",
            f"--set=train.save_interval={save_interval}",
            *words,
        ).strip()
        return RunDir(self.root / run_id)


@pytest.fixture
def lanewatch(tmp_path: Path) -> Iterator[Lanewatch]:
    """The command line; whatever it started is gone after the test."""
    cli = Lanewatch(tmp_path / "runs")
    yield cli
    for run in cli.root.glob("*-*"):
        for process in find_by_environment({"LANEWATCH_RUN_DIR": str(run)}):
            os.kill(process.pid, signal.SIGKILL)
        for name, key in (("state.json", "keeper"), ("state.json", "watcher")):
            end(read(run / name).get(key))


def end(identity: object) -> None:
    """Kill a process that a state.json names, if it still lives."""
    pid = identity.get("pid") if isinstance(identity, dict) else None
    if isinstance(pid, int):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return
        ours = (b"runners.keeper", b"runners.attach.guard", b"monitor.watcher")
        if any(each in command for each in ours):
            os.kill(pid, signal.SIGKILL)


def read(path: Path) -> dict[str, Any]:
    """Return a JSON object, {} while there is none."""
    try:
        value = json.loads(path.read_text()) if path.is_file() else None
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def until(true: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Wait until *true* returns something true, and return that."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if value := true():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {patience_s:g} s: {what}")


def state(run: RunDir) -> dict[str, Any]:
    """state.json as it is now."""
    return read(run.state)


def trained(run: RunDir) -> int:
    """Iterations done, as the heartbeat says."""
    beat = read(run.heartbeat)
    return (beat.get("done") or 0) if beat.get("stage") == "train" else 0


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A real Docker engine with a Python image, for the whole session; never left out in CI."""
    reason = why_not_here()
    if reason is not None:
        pytest.skip(reason)
    with running_engine() as running:
        yield running
