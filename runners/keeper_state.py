"""state.json: what the keeper knows, written so that a new keeper can go on from any instant.

Only a keeper that holds keeper.lock writes it. A write that fails (a full disk) is kept and tried
again; the trainer is not harmed by it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from monitor.files import read_json, write_json
from monitor.model import ProcessId, Stage, Status
from monitor.requests import Request, parse_request
from monitor.rundir import SCHEMA, RunDir
from runners.engines.base import Exit, Handle

logger = logging.getLogger(__name__)


class KeeperState:
    """The content of state.json and the ways in which it changes."""

    def __init__(self, run: RunDir, stages: Sequence[str], boot_id: str) -> None:
        self._run = run
        self._stages = tuple(stages)
        self._boot_id = boot_id
        self.unsaved = False
        read = read_json(run.state)
        self.repaired = read.problem
        """Why state.json had to be begun again, if it had to."""
        if read.problem:
            _move_aside(run)
        self.content = self._checked(read.value)

    def _checked(self, value: dict[str, Any] | None) -> dict[str, Any]:
        if value is not None and self._is_ours(value):
            return value
        if value is not None:
            self.repaired = "state.json is not of this run"
            _move_aside(self._run)
        return self._fresh(_attempt_seen(self._run))

    def _is_ours(self, value: dict[str, Any]) -> bool:
        entries = value.get("stages")
        try:
            Status(str(value.get("status")))
        except ValueError:
            return False
        return (
            isinstance(value.get("attempt"), int)
            and isinstance(entries, list)
            and all(isinstance(entry, dict) for entry in entries)
            and [entry.get("name") for entry in entries] == list(self._stages)
        )

    def _fresh(self, attempt: int) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "run": self._run.root.name,
            "attempt": attempt,
            "status": Status.STARTING.value,
            "stage": None,
            "stage_index": None,
            "stage_count": len(self._stages),
            "stages": [{"name": name, "status": "pending"} for name in self._stages],
            "boot_id": self._boot_id,
            "process": None,
            "exit": None,
            "cause": None,
            "keeper": None,
            "watcher": None,
            "request": None,
            "outcome": None,
        }

    @property
    def attempt(self) -> int:
        """Counts from 1."""
        return int(self.content["attempt"])

    @property
    def status(self) -> Status:
        """The run's."""
        return Status(self.content["status"])

    @property
    def handle(self) -> Handle | None:
        """The stage that was running when this was written."""
        return Handle.from_json(self.content.get("process"))

    @property
    def boot_changed(self) -> bool:
        """True when the machine was started anew since."""
        return self.content.get("boot_id") != self._boot_id

    def entry(self, stage: str) -> dict[str, Any]:
        """The record of one stage."""
        return next(entry for entry in self.content["stages"] if entry["name"] == stage)

    def begin_attempt(self) -> None:
        """Start over at the first stage; those that are whole will be skipped."""
        earlier = self.content.get("earlier_train_wall_s") or 0.0
        trained = [
            entry.get("wall_s") for entry in self.content["stages"] if entry["name"] == Stage.TRAIN
        ]
        earlier += sum(wall for wall in trained if isinstance(wall, int | float))
        kept = {"earlier_train_wall_s": earlier, "self_resumed": self.content.get("self_resumed")}
        self.content = self._fresh(self.attempt + 1) | kept

    def begin_export(self, iteration: int) -> None:
        """Begin an attempt that only merges one checkpoint; afterwards the run is what it was."""
        before = {"status": self.status.value, "cause": self.content.get("cause")}
        if self.exported is not None:  # one that failed or was stopped: the run is as it was then
            before = self.content["export"]["before"]
        self.begin_attempt()
        self.content["export"] = {"iteration": iteration, "before": before}

    @property
    def exported(self) -> int | None:
        """The checkpoint that this attempt is to merge, where that is all it does."""
        export = self.content.get("export")
        iteration = export.get("iteration") if isinstance(export, dict) else None
        return iteration if isinstance(iteration, int) else None

    @property
    def before_export(self) -> tuple[Status, str | None]:
        """How the run had ended when this attempt, an export, began."""
        before = self.content["export"]["before"]
        return Status(before["status"]), before["cause"]

    @property
    def mendable(self) -> str | None:
        """Why going on from the last checkpoint may help, as the end of the last stage told."""
        value = self.content.get("mendable")
        return value if isinstance(value, str) else None

    @mendable.setter
    def mendable(self, why: str | None) -> None:
        self.content["mendable"] = why

    @property
    def resumed_by_itself(self) -> bool:
        """True once a keeper has resumed this run unasked; it does so once only."""
        return bool(self.content.get("self_resumed"))

    def resume_by_itself(self, why: str, iteration: int) -> None:
        """Begin the next attempt unasked."""
        self.content["self_resumed"] = {
            "after_attempt": self.attempt,
            "why": why,
            "iteration": iteration,
            "wall": time.time(),
        }
        self.begin_attempt()

    @property
    def had_its_turn(self) -> bool:
        """The run that this one waited for is over, or was waited for in an earlier attempt."""
        queue = self.content.get("queue")
        return self.attempt > 1 or (isinstance(queue, dict) and queue.get("over") is True)

    def queue(self, after: str) -> None:
        """Say that the run waits for the end of the run *after*."""
        since = (self.content.get("queue") or {}).get("since_wall") or time.time()
        self.content["queue"] = {"after": after, "since_wall": since, "over": False}
        if not self.status.final and self.status is not Status.STOPPING:
            self.content["status"] = Status.QUEUED.value

    def begin_turn(self) -> None:
        """Say that nothing is waited for any more."""
        self.content["queue"] = (self.content.get("queue") or {}) | {"over": True}
        if self.status is Status.QUEUED:
            self.content["status"] = Status.STARTING.value

    def own(self, keeper: ProcessId) -> None:
        """Say who keeps the run now."""
        self.content["keeper"] = _identity(keeper)
        self.content["boot_id"] = self._boot_id

    def watch(self, watcher: ProcessId | None, *, restarts: int, lost: bool) -> None:
        """Say who watches the run, and whether the keeper has given up on it."""
        self.content["watcher"] = (_identity(watcher) if watcher else {}) | {
            "restarts": restarts,
            "lost": lost,
        }

    def intend(self, stage: str) -> None:
        """Say, before anything is started, that *stage* is about to be."""
        self.content |= {
            "stage": stage,
            "stage_index": self._stages.index(stage) + 1,
            "process": None,
            "exit": None,
        }
        self.entry(stage).update(
            status="running",
            started_wall=time.time(),
            started_monotonic_s=time.monotonic(),
            boot_id=self._boot_id,
        )
        for key in ("ended_wall", "wall_s", "note"):
            self.entry(stage).pop(key, None)

    def started(self, handle: Handle) -> None:
        """Say which process or container the stage became."""
        self.content["process"] = handle.to_json()
        if self.status is Status.STARTING:
            self.content["status"] = Status.RUNNING.value

    def asked(self, request: Request) -> None:
        """Say what was asked for, and by whom."""
        self.content["request"] = {
            "action": request.action.value,
            "status": "acting",
            "by": request.by,
            "why": request.why,
        }
        if not self.status.final:
            self.content["status"] = Status.STOPPING.value

    @property
    def asked_before(self) -> Request | None:
        """What an earlier keeper of this attempt was asked and may not have carried out."""
        request = self.content.get("request")
        return parse_request(request) if isinstance(request, dict) else None

    def left(
        self,
        stage: str,
        word: str,
        ended: Status | None,
        cause: str | None,
        exit_: Exit | None = None,
    ) -> None:
        """Say that *stage* is over and, in the same breath, whether that ends the run, and how."""
        entry, now = self.entry(stage), time.time()
        entry.update(status=word, ended_wall=now)
        if (wall_s := self._wall_s(entry, now)) is not None:
            entry["wall_s"] = round(wall_s, 3)
        if cause:
            entry["note"] = cause
        if exit_ is not None:
            self.content["exit"] = {"code": exit_.code, "signal": exit_.signal}
        if ended is not None:
            self.content["outcome"] = {"status": ended.value, "cause": cause}

    def left_unbegun(self, stage: str, ended: Status | None, cause: str | None) -> None:
        """Say that *stage* was to begin and never did: it took no time."""
        self.left(stage, (ended or Status.FAILED).value, ended, cause)
        for key in ("started_wall", "started_monotonic_s", "boot_id", "wall_s"):
            self.entry(stage).pop(key, None)

    def _wall_s(self, entry: dict[str, Any], now: float) -> float | None:
        """How long a stage took: by the clock that nobody sets, unless the machine restarted."""
        began, began_wall = entry.get("started_monotonic_s"), entry.get("started_wall")
        if isinstance(began, int | float) and entry.get("boot_id") == self._boot_id:
            return max(0.0, time.monotonic() - began)
        return max(0.0, now - began_wall) if isinstance(began_wall, int | float) else None

    @property
    def outcome(self) -> tuple[Status, str | None] | None:
        """How the last stage ended the run, when that is known but not yet closed."""
        value = self.content.get("outcome")
        try:
            return (Status(value["status"]), value.get("cause")) if value else None
        except (TypeError, KeyError, ValueError, AttributeError):
            return None

    def end(self, status: Status, cause: str | None) -> None:
        """Say how the run ended."""
        self.content |= {"status": status.value, "cause": cause, "process": None}

    def save(self) -> bool:
        """Write it durably; False when that failed, to be tried again."""
        self.content["updated_wall"] = time.time()
        try:
            write_json(self._run.state, self.content, durable=True)
        except OSError as error:
            if not self.unsaved:
                logger.warning("cannot write %s: %s", self._run.state, error)
            self.unsaved = True
        else:
            self.unsaved = False
        return not self.unsaved


def _identity(process: ProcessId) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "start_ticks": process.start_ticks,
        "boot_id": process.boot_id,
    }


def _move_aside(run: RunDir) -> None:
    try:
        run.state.rename(run.root / f"state.json.corrupt-{int(time.time())}")
    except OSError as error:
        logger.warning("cannot move %s aside: %s", run.state, error)


def _attempt_seen(run: RunDir) -> int:
    """The newest attempt that the trainer's own files tell of, when state.json cannot."""
    seen = [(read_json(path).value or {}).get("attempt") for path in (run.heartbeat, run.result)]
    return max([attempt for attempt in seen if isinstance(attempt, int)], default=1)
