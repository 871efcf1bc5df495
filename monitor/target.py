"""What to watch of a run: its paths, its process and what is expected of it.

Made from run.json and state.json, and from nothing else; what they do not say is None. How the run
was launched is not known here: the keeper is an opaque command line. A foreign run, which lanewatch
did not start, has no keeper: its run.json names process and log, its state.json only who watches.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from monitor.files import read_json
from monitor.limits import LimitConfig, limits_from
from monitor.model import ProcessId, Stage, Status
from monitor.probes.filesystem import is_local_filesystem
from monitor.probes.numbers import finite, whole
from monitor.rundir import RunDir
from monitor.subject import Subject

GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTarget:
    """One run, as its two files describe it at one instant."""

    run_dir: RunDir
    run: str
    name: str | None = None
    lane: str | None = None
    engine: str | None = None
    kind: str | None = None
    foreign: bool = False
    created_wall: float | None = None
    recipe_hash: str | None = None
    total: int | None = None
    """Iterations expected."""
    save_interval: int | None = None
    eval_interval: int | None = None
    """Iterations between two evaluations; None: it evaluates never, or nobody knows."""
    keep_last: int | None = None
    """Checkpoints that the trainer keeps; None: all."""
    checkpoints: Path
    memory_limit_bytes: int | None = None
    memory_estimate_bytes: int | None = None
    """What the run is expected to take, where a preflight has said so."""
    gpu_limit_bytes: int | None = None
    """Of each discrete GPU's own memory."""
    at_limit: str | None = None
    """How far the memory guard may go; None: it tells, and does nothing."""
    limits: LimitConfig = field(default_factory=LimitConfig)
    keeper_command: tuple[str, ...] | None = None
    """Starts a keeper, of a foreign run a guard, that adopts it; an argv, never a shell line."""
    status: Status | None = None
    cause: str | None = None
    attempt: int = 1
    stage: str | None = None
    stage_index: int | None = None
    stage_count: int | None = None
    stages: tuple[Mapping[str, Any], ...] = ()
    boot_id: str | None = None
    process: ProcessId | None = None
    keeper: ProcessId | None = None
    guard: ProcessId | None = None
    """Of a foreign run, which has no keeper."""
    watcher: ProcessId | None = None
    watcher_lost: bool = False
    """The keeper has given up on the watcher."""
    on_failure: str | None = None
    """What the keeper does by itself: notify or resume-once."""
    resumed_by_itself: bool = False
    exported: bool = False
    """The last attempt merged a checkpoint and did nothing else: the run has ended as before."""
    queued_after: str | None = None
    """Of a queued run: the id of the run whose end it waits for."""
    updated_wall: float | None = None
    foreign_log: Path | None = None
    """Of a foreign run: the file its output goes to, wherever that is."""
    started_wall: float | None = None
    """Of a foreign run: when its process began."""
    container: str | None = None
    """Name of the container that a foreign run lives in."""
    warnings: tuple[str, ...] = ()
    """Of a foreign run: what about the way it was started can hurt it."""
    problems: tuple[str, ...] = ()

    @property
    def final(self) -> bool:
        """The keeper has recorded the end."""
        return self.status is not None and self.status.final

    @property
    def log(self) -> Path | None:
        """The log of the present stage."""
        if self.foreign:
            return self.foreign_log
        return self.run_dir.log(self.stage) if self.stage else None

    @property
    def subject(self) -> Subject:
        """What the judge needs of it."""
        return Subject(
            run=self.run,
            status=self.status,
            cause=self.cause,
            stage=self.stage,
            attempt=self.attempt,
            total=self.total,
            save_interval=self.save_interval,
            keep_last=self.keep_last,
            saves_visible=not self.foreign or self.checkpoints != self.run_dir.checkpoints,
            saves_late=self.foreign and _shows_late(self.checkpoints),
            foreign=self.foreign,
            boot_id=self.process.boot_id if self.process else self.boot_id,
            memory_limit_bytes=self.memory_limit_bytes,
        )


@lru_cache(maxsize=8)
def _shows_late(folder: Path) -> bool:
    """A file server's folder; what lies on one stays there."""
    return not is_local_filesystem(folder)


_Made = tuple[Mapping[str, Any], Mapping[str, Any], tuple[str, ...], "WatchTarget"]
"""The contents of both files, what was wrong with them, and the target that was made of these."""


class TargetReader:
    """Reads a run's target again and again; a file that breaks keeps its last good content."""

    def __init__(self, run_dir: Path) -> None:
        self._dir = RunDir(run_dir)
        self._run = _Kept(self._dir.run_json, required=True)
        self._state = _Kept(self._dir.state, required=False)
        self._last: _Made | None = None

    def read(self) -> WatchTarget:
        """Return what is known now, the same object while that is the same.

        `problems` names what could not be read.
        """
        run, run_problem = self._run.read()
        state, state_problem = self._state.read()
        problems = tuple(each for each in (run_problem, state_problem) if each)
        if self._last is not None:
            known_run, known_state, known_problems, target = self._last
            if known_run is run and known_state is state and known_problems == problems:
                return target
        target = build_target(self._dir, run, state, problems)
        self._last = (run, state, problems, target)
        return target


class _Kept:
    """A JSON file that is parsed only when it has changed."""

    def __init__(self, path: Path, *, required: bool) -> None:
        self._path = path
        self._required = required
        self._key: tuple[int, int, int] | None = None
        self._value: dict[str, Any] = {}
        self._problem: str | None = None

    def read(self) -> tuple[dict[str, Any], str | None]:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._key = None
            missed = self._required or self._value
            return self._value, f"{self._path.name} is missing" if missed else None
        except OSError as error:
            self._key = None
            return self._value, f"{self._path.name} cannot be read: {error.strerror or error}"
        key = (status.st_ino, status.st_mtime_ns, status.st_size)
        if key != self._key:
            read = read_json(self._path)
            self._problem = read.problem
            self._value = read.value if read.value is not None else self._value
            # A file that is being written may change again within one tick of its clock.
            self._key = key if read.problem is None else None
        return self._value, self._problem


def read_target(run_dir: Path) -> WatchTarget:
    """Read the target of *run_dir* once. Never raises; `problems` names what is wrong."""
    return TargetReader(run_dir).read()


def build_target(
    run_dir: RunDir, run: Mapping[str, Any], state: Mapping[str, Any], problems: tuple[str, ...]
) -> WatchTarget:
    """Put the two files together; a field of a wrong type is not known."""
    recipe, paths = _table(run, "recipe"), _table(run, "paths")
    train, memory = _table(recipe, "train"), _table(recipe, "memory")
    own_limit = whole(run.get("memory_limit_bytes"))
    if own_limit is None:
        own_limit = _gib(memory.get("limit_gib"))
    checkpoints = _word(paths.get("checkpoints"))
    stage_names = run.get("stages")
    target = WatchTarget(
        run_dir=run_dir,
        run=_word(run.get("run")) or _word(state.get("run")) or run_dir.root.name,
        name=_word(run.get("name")),
        lane=_word(run.get("lane")),
        engine=_word(run.get("engine")),
        kind=_word(run.get("kind")),
        foreign=run.get("kind") == "foreign",
        created_wall=finite(run.get("created_wall")),
        recipe_hash=_word(run.get("recipe_hash")),
        total=_positive(run.get("iterations")) or _positive(train.get("iterations")),
        save_interval=_save_interval(run, train),
        eval_interval=_eval_interval(run, recipe),
        keep_last=_positive(train.get("keep_last")),
        checkpoints=Path(checkpoints) if checkpoints else run_dir.checkpoints,
        memory_limit_bytes=own_limit,
        memory_estimate_bytes=_positive(run.get("memory_estimate_bytes")),
        gpu_limit_bytes=_gib(memory.get("gpu_limit_gib")),
        at_limit=_word(memory.get("at_limit")),
        limits=limits_from(_table(recipe, "liveness")),
        keeper_command=_argv(run.get("keeper_command")) or _argv(state.get("guard_command")),
        status=_status(state.get("status")),
        cause=_word(state.get("cause")),
        attempt=_positive(state.get("attempt")) or 1,
        stage=_stage(state.get("stage")),
        stage_index=whole(state.get("stage_index")),
        stage_count=whole(state.get("stage_count"))
        or (len(stage_names) if isinstance(stage_names, list) else None),
        stages=_stages(state.get("stages")),
        boot_id=_word(state.get("boot_id")),
        process=process_id(state.get("process")),
        keeper=process_id(state.get("keeper")),
        guard=process_id(state.get("guard")),
        watcher=process_id(state.get("watcher")),
        watcher_lost=_table(state, "watcher").get("lost") is True,
        on_failure=_word(_table(recipe, "run").get("on_failure")),
        resumed_by_itself=bool(_table(state, "self_resumed")),
        exported=_is_as_before(state),
        queued_after=_word(_table(state, "queue").get("after")),
        updated_wall=finite(state.get("updated_wall")),
        problems=problems,
    )
    return _as_foreign(target, run) if target.foreign else target


def _is_as_before(state: Mapping[str, Any]) -> bool:
    """An export that failed, or was stopped, is an end of its own."""
    before = _word(_table(_table(state, "export"), "before").get("status"))
    return before is not None and before == _word(state.get("status"))


def _save_interval(run: Mapping[str, Any], train: Mapping[str, Any]) -> int | None:
    """A smoke run spreads its few saves over its few iterations, whatever the recipe says.

    A run that chooses its own length spreads them as well: its checkpoints show how.
    """
    own = _positive(run.get("save_interval"))
    smoke = _table(run, "smoke")
    iterations, saves = _positive(smoke.get("iterations")), _positive(smoke.get("saves"))
    if own is None and iterations and saves:
        return -(-iterations // saves)
    if own is None and train.get("iterations") == "auto":
        return None
    return own or _positive(train.get("save_interval"))


def _eval_interval(run: Mapping[str, Any], recipe: Mapping[str, Any]) -> int | None:
    """A smoke run evaluates never."""
    own = _positive(run.get("eval_interval"))
    if own is None and run.get("kind") != "smoke":
        return _positive(_table(recipe, "data").get("eval_interval"))
    return own


def _as_foreign(target: WatchTarget, run: Mapping[str, Any]) -> WatchTarget:
    """Nobody keeps it: only run.json speaks of it, and it does nothing but train."""
    log = _word(run.get("log"))
    return replace(
        target,
        stage=Stage.TRAIN,
        process=process_id(run.get("process")),
        foreign_log=Path(log) if log else None,
        started_wall=finite(run.get("started_wall")),
        container=_word(_table(run, "container").get("name")),
        status=None,
        attempt=1,
        keeper=None,
        warnings=_words(run.get("warnings")),
        problems=(*target.problems, *_words(run.get("hidden"))),
    )


def process_id(value: object) -> ProcessId | None:
    """Read {"pid", "start_ticks", "boot_id"}; all three or nothing."""
    if not isinstance(value, dict):
        return None
    pid, ticks, boot = (
        whole(value.get("pid")),
        whole(value.get("start_ticks")),
        value.get("boot_id"),
    )
    if not pid or ticks is None or not isinstance(boot, str):
        return None
    return ProcessId(pid=pid, boot_id=boot, start_ticks=ticks)


def _table(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _word(value: object) -> str | None:
    """A text that may also name a file: some cannot, and raise wherever they are used as a path."""
    if not isinstance(value, str) or not value or "\0" in value:
        return None
    if value.isascii():
        return value  # nearly always, and a list of a thousand runs asks for twenty each
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return None
    return value


def _words(value: object) -> tuple[str, ...]:
    return tuple(filter(None, map(_word, value))) if isinstance(value, list) else ()


def _stage(value: object) -> str | None:
    """One of our stages: it names a log file as well."""
    return value if isinstance(value, str) and value in set(Stage) else None


def _gib(value: object) -> int | None:
    """GiB as bytes."""
    gib = finite(value)
    count = finite(gib * GIB) if gib is not None and gib > 0 else None
    return None if count is None else whole(int(count))


def _positive(value: object) -> int | None:
    return whole(value) or None


def _status(value: object) -> Status | None:
    try:
        return Status(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _stages(value: object) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, list):
        return ()
    return tuple(each for each in value if isinstance(each, dict))


def _argv(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not value:
        return None
    return tuple(value) if all(_word(each) is not None for each in value) else None
