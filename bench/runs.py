"""The runs that are measured: real ones of the demo recipe, in a run root of their own.

The rule: nothing is written outside a temporary folder, and everything started is ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import REPOSITORY, environment, lanewatch, until

from monitor.rundir import RunDir

DEMO = REPOSITORY / "recipes" / "demo.toml"
SLOW = ("--set=train.accumulation=256",)
"""Some seconds per iteration: a live run on whose screen little happens."""

ENDED = ("finished", "failed", "stopped")


class RunRoot:
    """A private LANEWATCH_RUNS; the command line and this process both use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "runs"
        os.environ["LANEWATCH_RUNS"] = str(self.folder)
        os.environ["LANEWATCH_CACHE"] = str(folder / "cache")

    def launch(self, *words: str, iterations: int = 3000, save_interval: int = 100) -> RunDir:
        """Start a real run of the demo recipe and wait until it trains."""
        numbers = (f"train.iterations={iterations}", f"train.save_interval={save_interval}")
        settings = [f"--set={each}" for each in numbers]
        argv = lanewatch("launch", str(DEMO), *settings, *words)
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment())
        if done.returncode:
            raise ValueError(f"no run was launched: {done.stderr.strip()}")
        run = RunDir(self.folder / done.stdout.strip())
        until(lambda: (read(run.heartbeat).get("done") or 0) >= 1 and _trains(run), "an iteration")
        return run

    def end(self, run: RunDir) -> None:
        """End a run now, if it still lives, and wait for its keeper and watcher."""
        argv = lanewatch("kill", run.root.name)
        subprocess.run(argv, capture_output=True, check=False, env=environment())
        with contextlib.suppress(TimeoutError):
            self.wait(run, 90)

    def wait(self, run: RunDir, patience_s: float = 120.0) -> None:
        """Wait until nobody writes in the run's folder any more. Raises TimeoutError."""
        state = read(run.state)
        until(lambda: read(run.state).get("status") in ENDED, "the end of the run", patience_s)
        pids = [pid for key in ("keeper", "watcher") if (pid := pid_of(state, key))]
        until(
            lambda: not any(_lives(pid) for pid in pids), "keeper's and watcher's end", patience_s
        )

    def finished(self, iterations: int = 60) -> RunDir:
        """A real run that has finished."""
        run = self.launch(iterations=iterations, save_interval=10)
        self.wait(run)
        return run

    def multiply(self, template: RunDir, count: int) -> list[str]:
        """Make *count* finished runs out of one, the newest first, with weights cut to nothing."""
        names = []
        created = read(template.run_json)["created_wall"]
        for number in range(count):
            begun = time.gmtime(created - 3600.0 * (number + 1))
            name = f"reference-{time.strftime('%Y%m%d-%H%M%S', begun)}-{number:04x}"
            names.append(name)
            shutil.copytree(template.root, self.folder / name, copy_function=_copy_small)
            for path in (self.folder / name / "run.json", self.folder / name / "state.json"):
                value = read(path) | {"run": name}
                if "created_wall" in value:
                    value["created_wall"] -= 3600.0 * (number + 1)
                path.write_text(json.dumps(value))
        return names


@contextlib.contextmanager
def run_root() -> Iterator[RunRoot]:
    """A run root that is gone afterwards, with whatever still runs in it."""
    with tempfile.TemporaryDirectory(prefix="lanewatch-bench-") as folder:
        root = RunRoot(Path(folder))
        try:
            yield root
        finally:
            for path in root.folder.glob("*/state.json"):
                state = read(path)
                if state.get("status") not in ENDED:
                    root.end(RunDir(path.parent))
                    _kill_left(state)


def read(path: Path) -> dict[str, Any]:
    """A JSON object, {} while there is none."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def pid_of(state: dict[str, Any], key: str) -> int:
    """The pid that state.json names under *key*, 0 if none."""
    value = state.get(key)
    return int(value["pid"]) if isinstance(value, dict) else 0


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def settle(seconds: float = 5.0) -> None:
    """Let start-up work end before a steady state is measured."""
    time.sleep(seconds)


def _trains(run: RunDir) -> bool:
    return read(run.heartbeat).get("stage") == "train"


def _copy_small(source: str, target: str) -> None:
    path = Path(source)
    if path.stat().st_size > 200_000:
        Path(target).write_bytes(b"")
    elif not path.name.endswith((".lock", "-wal", "-shm")):
        shutil.copyfile(source, target)


def _kill_left(state: dict[str, Any]) -> None:
    for key in ("keeper", "watcher", "process"):
        pid = pid_of(state, key)
        with contextlib.suppress(OSError, ProcessLookupError):
            if pid and b"lanewatch" in Path(f"/proc/{pid}/environ").read_bytes().lower():
                os.kill(pid, signal.SIGKILL)
