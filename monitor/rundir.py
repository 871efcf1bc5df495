"""Where everything of a run lies on disk. Users read the same in docs/run-directory.md."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from monitor.errors import MonitorError

SCHEMA = 1
"""Version of every JSON file in a run folder."""

TRACKER = "latest_checkpointed_iteration.txt"
"""Megatron-LM's name, kept for every lane."""

ITERATION_FOLDER = "iter_{:07d}"
"""Megatron's name of a checkpoint folder: seven digits."""


@dataclass(frozen=True, slots=True)
class RunDir:
    """The paths of one run below its *root* folder."""

    root: Path

    @property
    def run_json(self) -> Path:
        return self.root / "run.json"

    @property
    def run_lock(self) -> Path:
        return self.root / "run.lock"

    @property
    def keeper_lock(self) -> Path:
        return self.root / "keeper.lock"

    @property
    def watcher_lock(self) -> Path:
        return self.root / "watcher.lock"

    @property
    def guard_lock(self) -> Path:
        """Of a foreign run, which has no keeper."""
        return self.root / "guard.lock"

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def request(self) -> Path:
        return self.root / "request.json"

    @property
    def heartbeat(self) -> Path:
        return self.root / "heartbeat.json"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def payload(self) -> Path:
        return self.root / "payload"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def tracker(self) -> Path:
        return self.checkpoints / TRACKER

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def telemetry(self) -> Path:
        return self.root / "telemetry.sqlite3"

    @property
    def watch(self) -> Path:
        return self.root / "watch.json"

    @property
    def trace(self) -> Path:
        return self.root / "trace.jsonl"

    @property
    def result(self) -> Path:
        return self.root / "result.json"

    @property
    def summary(self) -> Path:
        return self.root / "summary.json"

    @property
    def export(self) -> Path:
        return self.root / "export"

    @property
    def ack(self) -> Path:
        return self.root / "ack.json"

    @property
    def stall(self) -> Path:
        return self.root / "stall.json"

    @property
    def diagnosis(self) -> Path:
        """What a diagnosis of a hang leaves."""
        return self.root / "diagnosis"

    def log(self, stage: str) -> Path:
        """The stage's stdout and stderr."""
        return self.logs / f"{stage}.log"

    def checkpoint(self, iteration: int) -> Path:
        """The folder of one checkpoint."""
        return self.checkpoints / ITERATION_FOLDER.format(iteration)


def expanded(text: str) -> Path:
    """What somebody named, with `~` in its place. Raises MonitorError for a home of nobody here."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        home = text.partition("/")[0]
        raise MonitorError(
            f"{text}: there is no home folder {home} here; name the folder in full"
        ) from None


def runs_root() -> Path:
    """`$LANEWATCH_RUNS`, else the user's state folder (XDG) + lanewatch/runs.

    Raises MonitorError where `~` is nobody's home; so do the others below.
    """
    named = os.environ.get("LANEWATCH_RUNS")
    if named:
        return expanded(named).absolute()
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return expanded(state).absolute() / "lanewatch" / "runs"


def cache_root() -> Path:
    """`$LANEWATCH_CACHE`, else the user's cache folder (XDG) + lanewatch."""
    named = os.environ.get("LANEWATCH_CACHE")
    if named:
        return expanded(named).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return expanded(cache).absolute() / "lanewatch"


def config_folder() -> Path:
    """`$XDG_CONFIG_HOME`/lanewatch, else below ~/.config."""
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return expanded(home).absolute() / "lanewatch"
