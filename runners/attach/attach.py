"""From a trainer that was found to a run that is watched: its folder is made, a watcher is started.

The rule: nothing of the trainer is touched. A process is watched once; attaching again names the
run that watches it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from monitor.events import append_event
from monitor.files import read_json
from monitor.model import FINAL
from monitor.probes.clock import read_now
from monitor.probes.process import identify
from monitor.rundir import SCHEMA, RunDir
from monitor.target import process_id
from monitor.watch_state import read_watch
from runners.attach.foreign import KIND, ensure_watched
from runners.attach.process_table import read_environment
from runners.attach.values import Candidate, Found, without_folder_warning
from runners.box import launching
from runners.errors import RunnerError, RunStateError
from runners.launch import versions
from runners.runs import create_run, iter_runs

TOLD = "as you said"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachOrder:
    """What a person said beyond naming the process."""

    root: Path
    checkpoints: Path | None = None
    log: Path | None = None
    total: int | None = None
    name: str | None = None
    tables: Mapping[str, Any] = field(default_factory=dict)
    """The `liveness` and `memory` tables, checked."""

    @property
    def says_anything(self) -> bool:
        """True if it changes what would be found."""
        return bool(self.checkpoints or self.log or self.total or self.tables or self.name)


@dataclass(frozen=True, slots=True)
class Attached:
    """The run, and whether it is new."""

    run: RunDir
    new: bool


def with_order(candidate: Candidate, order: AttachOrder) -> Candidate:
    """What a person says is right, whatever was found."""
    if order.checkpoints is not None:
        candidate = replace(
            candidate,
            checkpoints=Found(str(order.checkpoints), TOLD),
            warnings=without_folder_warning(candidate.warnings),
        )
    if order.log is not None:
        candidate = replace(candidate, log=Found(str(order.log), TOLD))
    if order.total is not None:
        candidate = replace(candidate, total=order.total, total_why=TOLD)
    return candidate


def attach(candidate: Candidate, order: AttachOrder) -> Attached:
    """Watch *candidate*. Raises RunnerError."""
    process = identify(candidate.pid)
    if process is None or process.start_ticks != candidate.start_ticks:
        raise RunnerError(f"process {candidate.pid} has ended meanwhile")
    owner = read_environment(candidate.pid).get("LANEWATCH_RUN")
    if owner:
        raise RunStateError(f"process {candidate.pid} is run {owner}: lanewatch watches it already")
    with launching(order.root):  # of two at the same moment the second finds the first
        known = find_watching(order.root, candidate)
        info = _run_info(candidate, order) if known is None else {}
        run = known or create_run(order.root, KIND, info, order.name, folders=("logs",))
    if known is not None:
        return _again(known, candidate, order)
    for text in candidate.warnings:
        append_event(run.events, "note", text, "attach", read_now())
    ensure_watched(run)
    return Attached(run, new=True)


def find_watching(root: Path, candidate: Candidate) -> RunDir | None:
    """The run that watches this very process and is not over."""
    for run in iter_runs(root):
        info = read_json(run.run_json).value or {}
        named = process_id(info.get("process"))
        same = named is not None and (named.pid, named.start_ticks) == (
            candidate.pid,
            candidate.start_ticks,
        )
        if info.get("kind") == KIND and same:
            last = read_watch(run.watch).value
            if last is None or last.verdict.liveness not in FINAL:
                return run
    return None


def _again(run: RunDir, candidate: Candidate, order: AttachOrder) -> Attached:
    if order.says_anything:
        raise RunStateError(
            f"process {candidate.pid} is watched already as {run.root.name}; to attach with other "
            f"options, `lanewatch rm {run.root.name}` first (that ends only the watch)"
        )
    ensure_watched(run)
    return Attached(run, new=False)


def _run_info(candidate: Candidate, order: AttachOrder) -> dict[str, Any]:
    process = identify(candidate.pid)
    assert process is not None
    container = candidate.container
    inside: dict[str, Any] | None = None
    if candidate.container_id is not None:
        name = container.name if container else candidate.container_id[:12]
        image = container.image if container else None
        inside = {"id": candidate.container_id, "name": name, "image": image}
    return {
        "schema": SCHEMA,
        "created_wall": time.time(),
        "lane": candidate.lane,
        "engine": "docker" if inside else "local",
        "kind": KIND,
        "recipe": dict(order.tables),
        "recipe_hash": None,
        "process": {
            "pid": process.pid,
            "start_ticks": process.start_ticks,
            "boot_id": process.boot_id,
        },
        "command": candidate.command,
        "started_wall": candidate.started_wall,
        "container": inside,
        "log": candidate.log.path if candidate.log else None,
        "paths": {"checkpoints": candidate.checkpoints.path if candidate.checkpoints else None},
        "found": {
            "log": candidate.log.why if candidate.log else None,
            "checkpoints": candidate.checkpoints.why if candidate.checkpoints else None,
            "iterations": candidate.total_why,
        },
        "iterations": candidate.total,
        "save_interval": candidate.save_interval,
        "warnings": list(candidate.warnings),
        "hidden": list(candidate.hidden),
        "versions": versions(),
    }
