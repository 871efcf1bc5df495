"""A fabricated run folder with a real process in it, for the tests of watcher and status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from monitor.files import write_json
from monitor.probes.clock import boot_id
from monitor.probes.process import identify

TRAINER = """
import json, os, sys, time
from pathlib import Path
root, boot, step, first, last, save = Path(sys.argv[1]), sys.argv[2], *map(float, sys.argv[3:])
def put(path, text):
    temporary = path.with_name(path.name + ".t")
    temporary.write_text(text)
    temporary.replace(path)
seq = 0
def beat(phase, done):
    global seq
    seq += 1
    put(root / "heartbeat.json", json.dumps({
        "schema": 1, "attempt": 1, "seq": seq, "pid": os.getpid(), "boot_id": boot,
        "monotonic_s": time.monotonic(), "stage": "train", "phase": phase, "done": done,
        "total": int(last), "unit": "iterations", "loss": 1.0, "step_s": step}))
beat("first_iteration", int(first))
for done in range(int(first) + 1, int(last) + 1):
    time.sleep(step)
    beat("iteration", done)
    if not (root / "mute").exists():
        with open(root / "logs/train.log", "a") as log:
            log.write(f"iteration {done}\\n")
    if save and done % int(save) == 0:
        folder = root / "checkpoints" / f".iter_{done:07d}.tmp"
        folder.mkdir()
        (folder / "weights").write_bytes(b"w" * 1000)
        folder.rename(root / "checkpoints" / f"iter_{done:07d}")
        put(root / "checkpoints/latest_checkpointed_iteration.txt", str(done))
time.sleep(60)
"""


class FabricatedRun:
    """A run folder, its trainer and its watchers; `close` ends them all."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.processes: list[subprocess.Popen[bytes]] = []
        for folder in ("logs", "checkpoints"):
            (root / folder).mkdir(parents=True)
        self.write_run()

    def write_run(self, **changes: Any) -> None:
        values = {
            "schema": 1,
            "run": self.root.name,
            "created_wall": time.time(),
            "lane": "reference",
            "engine": "local",
            "kind": "full",
            "iterations": 1000,
            "recipe": {"train": {"save_interval": 5}},
        }
        write_json(self.root / "run.json", values | changes, durable=False)

    def write_state(self, status: str = "running", **changes: Any) -> None:
        values = {
            "schema": 1,
            "attempt": 1,
            "status": status,
            "stage": "train",
            "stage_index": 1,
            "stage_count": 1,
            "boot_id": boot_id(),
            "process": self.identity(),
            "keeper": named(os.getpid()),
            "updated_wall": time.time(),
        }
        write_json(self.root / "state.json", values | changes, durable=False)

    def train(self, step: float = 0.05, first: int = 0, last: int = 1000, save: int = 0) -> None:
        """Start a trainer and let state.json name it."""
        numbers = map(str, (step, first, last, save))
        self._start("-c", TRAINER, str(self.root), boot_id(), *numbers)
        self.trainer = self.processes[-1]
        wait_for(lambda: self.read("heartbeat.json") is not None)
        self.write_state()

    def identity(self) -> dict[str, Any] | None:
        trainer = getattr(self, "trainer", None)
        return named(trainer.pid) if trainer else None

    def watch(self, tick: float = 0.1) -> subprocess.Popen[bytes]:
        """Start a watcher; its messages can be read from stderr."""
        return self._start("-m", "monitor.watcher", str(self.root), "--tick", str(tick))

    def read(self, name: str) -> dict[str, Any] | None:
        try:
            value: dict[str, Any] = json.loads((self.root / name).read_text())
        except (OSError, ValueError):
            return None
        return value

    def watched(self, *keys: str) -> Any:
        """A value deep in watch.json; None while it is not there."""
        value: Any = self.read("watch.json")
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def verdict(self) -> str | None:
        found: str | None = self.watched("verdict", "liveness")
        return found

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        try:
            lines = (self.root / "events.jsonl").read_text().splitlines()
        except OSError:
            return []
        return [event for event in map(json.loads, lines) if kind in ("", event["kind"])]

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, *arguments]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.processes.append(process)
        return process


def named(pid: int) -> dict[str, Any] | None:
    """The identity of *pid* as state.json has it."""
    process = identify(pid)
    if process is None:
        return None
    return {"pid": pid, "start_ticks": process.start_ticks, "boot_id": process.boot_id}


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until *condition* holds; fail the test when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.02)
