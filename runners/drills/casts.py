"""Who plays in a drill: a run of ours with its keeper, or a trainer that lanewatch did not start.

The rule: a cast does only what a person can do: launch, kill, resume, attach.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from monitor.files import read_json, write_json
from monitor.locks import is_held
from monitor.model import FINAL, ProcessId
from monitor.probes.clock import RATE_VARIABLE
from monitor.probes.memory import read_memory
from monitor.probes.process import find_by_environment, identify, is_alive
from monitor.rundir import SCHEMA, RunDir
from monitor.target import process_id
from monitor.watch_state import read_watch
from runners.attach.attach import AttachOrder, attach, with_order
from runners.attach.search import Search
from runners.drills.script import script_from
from runners.drills.table import Drill
from runners.drills.trainer import READER_VARIABLE
from runners.lanes import DRILL
from runners.launch import keeper_argv, start_keeper, versions
from runners.requests import Action, put_request
from runners.runs import create_run, has_left, read_status_word

KEPT_VARIABLES = frozenset({"LANEWATCH_RUNS", RATE_VARIABLE})


class Cast(Protocol):
    """One run and its trainer."""

    run: RunDir
    place: Path
    """The trainer's own folder."""

    def start(self) -> None:
        """Let the trainer begin, and the watcher with it. Raises RunnerError."""

    def kill(self) -> None:
        """End the trainer as a person would."""

    def resume(self) -> None:
        """Let it go on from its last checkpoint. Raises RunnerError."""

    def over(self) -> bool:
        """Nothing of it lives, and the watcher has said so."""

    def living(self) -> Iterator[ProcessId]:
        """Every process of it that lives."""


class KeptCast:
    """A run as `lanewatch launch` makes it."""

    def __init__(self, drill: Drill, root: Path, rate: float) -> None:
        _isolate(root, rate)
        self.run = create_run(root, DRILL, _kept_info(drill, rate), None)
        self.place = self.run.root

    def start(self) -> None:
        info = dict(read_json(self.run.run_json).value or {})
        info["paths"] = {
            "base": str(self.run.work / "base"),
            "checkpoints": str(self.run.checkpoints),
        }
        info["keeper_command"] = keeper_argv(self.run)
        write_json(self.run.run_json, info, durable=False)
        start_keeper(self.run)

    def kill(self) -> None:
        status = read_status_word(self.run)
        if status is None or not status.final:
            put_request(self.run, Action.KILL)

    def resume(self) -> None:
        has_left(self.run)
        start_keeper(self.run, "--resume")

    def over(self) -> bool:
        status = read_status_word(self.run)
        return status is not None and status.final and has_left(self.run, 0.0)

    def living(self) -> Iterator[ProcessId]:
        yield from find_by_environment({"LANEWATCH_RUN_DIR": str(self.run.root)})
        state = read_json(self.run.state).value or {}
        for value in (state.get("keeper"), state.get("watcher")):
            process = process_id(value)
            if process is not None and is_alive(process):
                yield process


class ForeignCast:
    """A trainer that someone started as `python train.py 2>&1 | cat > train.log`, then attached."""

    def __init__(self, drill: Drill, root: Path, rate: float) -> None:
        _isolate(root, rate)
        self._drill = drill
        self._root = root
        self._trainer: subprocess.Popen[bytes] | None = None
        self._filter: subprocess.Popen[bytes] | None = None
        self.place = root / f"trainer-{os.getpid()}"
        self.run = RunDir(root / "not-attached-yet")

    def start(self) -> None:
        for name in ("work", "checkpoints", "logs"):
            (self.place / name).mkdir(mode=0o700, parents=True)
        job = {"recipe": {DRILL: _part(self._drill, 0.0)}, "resume_from": None}
        (self.place / "work" / "job.json").write_text(json.dumps(job))
        log = self.place / "logs" / "train.log"
        env = os.environ | {"LANEWATCH_RUN_DIR": str(self.place), "LANEWATCH_STAGE": "train"}
        with log.open("ab") as output:
            self._filter = subprocess.Popen(
                [shutil.which("cat") or "/bin/cat"], stdin=subprocess.PIPE, stdout=output, env=env
            )
        assert self._filter.stdin is not None
        self._trainer = subprocess.Popen(
            [sys.executable, "-P", "-m", "runners.drills.trainer", str(self.place)],
            stdin=subprocess.DEVNULL,
            stdout=self._filter.stdin,
            stderr=subprocess.STDOUT,
            env=env | {READER_VARIABLE: str(self._filter.pid)},
            start_new_session=True,
        )
        self._filter.stdin.close()
        self._attach(self._trainer.pid, log)

    def _attach(self, pid: int, log: Path) -> None:
        script = script_from(self._drill.trainer)
        order = AttachOrder(
            root=self._root,
            checkpoints=self.place / "checkpoints",
            log=log,
            total=script.iterations,
        )
        search = Search()
        candidate = with_order(search.candidate(search.by_pid(pid)), order)
        candidate = dataclasses.replace(candidate, save_interval=script.save_interval)
        self.run = attach(candidate, order).run

    def kill(self) -> None:
        for each in (self._trainer, self._filter):
            if each is not None and each.poll() is None:
                each.kill()
                each.wait()

    def resume(self) -> None:
        raise NotImplementedError  # a person starts it again by hand: no drill does so

    def over(self) -> bool:
        if self._trainer is None or self._trainer.poll() is None or self._filter is None:
            return False
        self._filter.wait()
        last = read_watch(self.run.watch).value
        ended = last is not None and last.verdict.liveness in FINAL
        return ended and not is_held(self.run.watcher_lock)

    def living(self) -> Iterator[ProcessId]:
        yield from find_by_environment({"LANEWATCH_RUN_DIR": str(self.place)})
        last = read_watch(self.run.watch).value
        watcher = identify(last.pid) if last else None
        if last is not None and watcher == last.process:
            yield last.process


def _isolate(root: Path, rate: float) -> None:
    """What the user has configured (alerts, say) is for real runs; the clock is the drill's."""
    for name in [name for name in os.environ if name.startswith("LANEWATCH_")]:
        if name not in KEPT_VARIABLES:
            del os.environ[name]
    os.environ["XDG_CONFIG_HOME"] = str(root / "no-configuration")
    os.environ[RATE_VARIABLE] = str(rate)


def _part(drill: Drill, rate: float) -> dict[str, Any]:
    return {"name": drill.name, "rate": rate, "trainer": dict(drill.trainer)}


def _kept_info(drill: Drill, rate: float) -> dict[str, Any]:
    script = script_from(drill.trainer)
    train = {"iterations": script.iterations, "save_interval": script.save_interval}
    recipe = {
        "train": train,
        "model": {"path": "none"},
        "memory": {"at_limit": drill.at_limit},
        DRILL: _part(drill, rate),
    }
    limit = None
    if drill.budget_bytes is not None and (memory := read_memory().value) is not None:
        limit = memory.used_bytes + drill.budget_bytes
    return {
        "schema": SCHEMA,
        "created_wall": time.time(),
        "lane": DRILL,
        "engine": "local",
        "kind": DRILL,
        "recipe": recipe,
        # Its own: what an earlier rehearsal has taught must not seed the limits of this one.
        "recipe_hash": hashlib.sha256(repr((recipe, time.time_ns())).encode()).hexdigest(),
        "iterations": script.iterations,
        "clock_rate": rate,
        "versions": versions(),
        "memory_limit_bytes": limit,
        "stages": ["train"],
    }
