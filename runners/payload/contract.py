"""What a stage writes so that others can watch it: heartbeat, metrics, checkpoints, result.

The rule: watching never harms training. A contract write that fails is counted and forgotten; only
a checkpoint that cannot be published is an error.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .causes import StageError, StopRequested, describe, is_stop, one_line
from .checkpoints import Checkpoints
from .files import FULL_DISK, LineLog, encode, overwrite, read_object, replace, reserve
from .process import (
    STOP_NOW,
    STOP_SAVE,
    allow_diagnosis,
    boot_id,
    end_process,
    hold_lock,
    say,
    watch_signals,
)

if TYPE_CHECKING:
    from typing import TypedDict, Unpack

    class HeartbeatFields(TypedDict, total=False):
        """What a caller may change in the heartbeat; the rest stays as it was."""

        phase: str
        done: int | None
        total: int | None
        unit: str
        loss: float | None
        lr: float | None
        grad_norm: float | None
        step_s: float | None


__all__ = [
    "SCHEMA",
    "STOP_NOW",
    "STOP_SAVE",
    "Contract",
    "StageError",
    "StopRequested",
    "end_process",
    "run_stage",
    "say",
]

SCHEMA = 1
PROGRESS_PAUSE_S = 0.2
"""Least time between two heartbeats of `progress`: a stage may count thousands a second."""

RESERVE_BYTES = 16 * 1024
"""Room set aside for result.json: the cause "disk full" must still find a place to be written."""

_RESERVE_FILE = "result.reserve"
_CHANGEABLE = frozenset({"phase", "done", "total", "unit", "loss", "lr", "grad_norm", "step_s"})


class Contract:
    """The writer of one stage's part of a run folder.

    Making one touches nothing; `install` takes over this process (lock, signals).
    """

    def __init__(self, run_dir: Path, *, stage: str, attempt: int = 1, run: str = "") -> None:
        self.run_dir = run_dir
        self.stage = stage
        self.attempt = attempt
        self.run = run or run_dir.name
        self.work = run_dir / "work"
        self.checkpoints = Checkpoints(run_dir / "checkpoints", self.work)
        self.stop_requested: str | None = None
        """None, "save" (SIGTERM: save at the next step, then end) or "now" (SIGINT)."""
        self.raise_on_stop = False
        """True while nothing can be saved (loading, say): a stop then ends the stage at once."""
        self.write_errors = 0
        self.facts: dict[str, Any] = {}
        """What result.json will say besides, however the stage ends: keep it up to date."""
        self._started_s = time.monotonic()
        self._boot_id = boot_id()
        self._seq = 0
        self._beat_s = -math.inf
        self._fields: dict[str, Any] = {"phase": "loading", **dict.fromkeys(_OPTIONAL_FIELDS)}
        self._fields["unit"] = "iterations"
        self._metrics = LineLog(run_dir / "metrics.jsonl")
        self._lock: int | None = None
        self._folder: tuple[int, int] | None = None
        self._was_described = False

    @classmethod
    def from_environment(cls) -> Contract:
        """Make the contract that LANEWATCH_RUN_DIR, _STAGE, _ATTEMPT and _RUN describe.

        Raises StageError when they are missing or wrong.
        """
        run_dir = os.environ.get("LANEWATCH_RUN_DIR", "")
        stage = os.environ.get("LANEWATCH_STAGE", "")
        attempt = os.environ.get("LANEWATCH_ATTEMPT", "1")
        if not Path(run_dir).is_absolute() or not Path(run_dir).is_dir():
            raise StageError(f"LANEWATCH_RUN_DIR={run_dir!r} is no absolute path of a folder")
        if not stage or not attempt.isdigit():
            raise StageError("LANEWATCH_STAGE and LANEWATCH_ATTEMPT (a number) must be set")
        run = os.environ.get("LANEWATCH_RUN", "")
        return cls(Path(run_dir), stage=stage, attempt=int(attempt), run=run)

    def install(self) -> None:
        """Take over this process: private files, the run's lock, signals, a first heartbeat."""
        os.umask(0o077)
        self._folder = _identity(self.run_dir)
        self._was_described = (self.run_dir / "run.json").exists()
        allow_diagnosis()
        watch_signals(self.request_stop)
        self._lock = hold_lock(self.run_dir / "run.lock")
        if self._lock is None:
            self._count_error("the lock run.lock could not be taken")
        self._forget_own_result()
        self._set_room_aside()
        self.heartbeat()

    def request_stop(self, how: str) -> None:
        """Ask for the end of the stage; "now" is never softened back to "save".

        Called by the signal handlers; raises StopRequested while `raise_on_stop` is set.
        """
        if self.stop_requested != STOP_NOW:
            self.stop_requested = how
        if self.raise_on_stop:
            raise StopRequested(how)

    def raise_if_stopped(self) -> None:
        """Leave the stage here if someone asked for its end. Raises StopRequested."""
        if self.stop_requested is not None:
            raise StopRequested(self.stop_requested)

    def heartbeat(self, **changes: Unpack[HeartbeatFields]) -> None:
        """Write the heartbeat with *changes*; what is not named keeps its last value."""
        unknown = changes.keys() - _CHANGEABLE
        if unknown:
            raise TypeError(f"no heartbeat field is called {', '.join(sorted(unknown))}")
        self._fields.update(changes)
        self._seq += 1
        self._beat_s = time.monotonic()
        path = self.run_dir / "heartbeat.json"
        try:
            replace(path, self._heartbeat_bytes(), durable=False)
        except (OSError, TypeError, ValueError) as error:
            self._count_error(f"the heartbeat was not written: {error}")
            if isinstance(error, OSError) and error.errno in FULL_DISK:
                self._overwrite_heartbeat(path)

    def progress(self, done: int, total: int | None = None) -> None:
        """Count *done* of *total*; writes at most five heartbeats a second, and the last one."""
        self._fields["done"] = done
        if total is not None:
            self._fields["total"] = total
        if time.monotonic() - self._beat_s >= PROGRESS_PAUSE_S or done == self._fields["total"]:
            self.heartbeat()

    def metric(self, iteration: int, **values: float | bool | None) -> None:
        """Append a line about *iteration* to metrics.jsonl (loss, eval_loss, save_s ...)."""
        safe, bare = _json_safe(values)
        line = {"attempt": self.attempt, "iteration": iteration, **safe, **bare}
        line |= {"wall_s": time.time(), "monotonic_s": time.monotonic()}
        try:
            self._metrics.append(line)
        except (OSError, TypeError, ValueError) as error:
            self._count_error(f"a metrics line was not written: {error}")

    def publish(self, source: Path, iteration: int) -> Path:
        """Publish the save in *source* as iter_NNNNNNN and name it in the tracker. Raises OSError.

        Files are hard links: delete, but never rewrite, those in *source* afterwards.
        """
        self._require_own_folder()
        return self.checkpoints.publish(source, iteration)

    def rotate(self, keep_last: int) -> list[int]:
        """Delete all but the newest *keep_last* checkpoints (0: none); see `Checkpoints.rotate`."""
        try:
            return self.checkpoints.rotate(keep_last)
        except OSError as error:
            self._count_error(f"old checkpoints were not deleted: {error}")
            return []

    def finish(self, ok: bool, outcome: str, cause: str | None = None, **fields: Any) -> None:
        """Write result.json, the last act of a stage. *outcome*: finished, stopped or failed."""
        safe, bare = _json_safe(self.facts | fields)
        seconds = round(time.monotonic() - self._started_s, 3)
        value = self._stamp() | {"ok": ok, "outcome": outcome}
        value |= {"cause": None if cause is None else one_line(cause), "iteration": None}
        value |= {"seconds": seconds, "peak_memory_bytes": None, **safe, **bare}
        value["write_errors"] = self.write_errors
        try:
            self._write_result(encode(value))
        except (OSError, TypeError, ValueError) as error:
            say(f"result.json was not written: {error}", error=True)

    def _write_result(self, content: bytes) -> None:
        path = self.run_dir / "result.json"
        if _attempt_of(read_object(path)) > self.attempt:
            say("result.json belongs to a newer attempt and was left alone", error=True)
            return
        room = self.work / _RESERVE_FILE
        try:
            replace(path, content, durable=True)
        except OSError as error:
            if error.errno not in FULL_DISK or not room.exists():
                raise
            room.unlink()
            replace(path, content, durable=True)
        room.unlink(missing_ok=True)

    def _require_own_folder(self) -> None:
        """A library may have made a deleted run folder anew: that is no place for a checkpoint."""
        gone = self._was_described and not (self.run_dir / "run.json").exists()
        if gone or (self._folder is not None and _identity(self.run_dir) != self._folder):
            raise FileNotFoundError(2, "the run folder was deleted", str(self.run_dir))

    def _stamp(self) -> dict[str, Any]:
        """What every file of the contract begins with: who wrote it, and when by which clock."""
        return {
            "schema": SCHEMA,
            "run": self.run,
            "attempt": self.attempt,
            "seq": self._seq,
            "pid": os.getpid(),
            "boot_id": self._boot_id,
            "monotonic_s": time.monotonic(),
            "wall_s": time.time(),
            "stage": self.stage,
        }

    def _heartbeat_bytes(self) -> bytes:
        fields, bare = _json_safe(self._fields)
        return encode(self._stamp() | fields | bare | {"write_errors": self.write_errors})

    def _overwrite_heartbeat(self, path: Path) -> None:
        """On a full disk the heartbeat lives on in the room that it already has."""
        with contextlib.suppress(OSError):
            overwrite(path, self._heartbeat_bytes())

    def _set_room_aside(self) -> None:
        try:
            reserve(self.work / _RESERVE_FILE, RESERVE_BYTES)
        except OSError as error:
            self._count_error(f"no room could be set aside for result.json: {error}")

    def _forget_own_result(self) -> None:
        """A result of this very stage and attempt is of an earlier try that we now repeat."""
        path = self.run_dir / "result.json"
        old = read_object(path) or {}
        if (old.get("stage"), old.get("attempt")) != (self.stage, self.attempt):
            return
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._count_error(f"the old result.json was not removed: {error}")

    def _count_error(self, text: str) -> None:
        """The first, and then every hundredth, failed write is worth a line in the log."""
        self.write_errors += 1
        if self.write_errors % 100 == 1:
            say(f"lanewatch: {text} (training goes on)", error=True)


_OPTIONAL_FIELDS = ("done", "total", "loss", "lr", "grad_norm", "step_s")


def run_stage(
    main: Callable[[Contract], Mapping[str, Any]], kind: type[Contract] = Contract
) -> int:
    """Run *main* as a stage and return the exit code; result.json is written in every case.

    *main* returns fields for result.json ("outcome" among them if it is not "finished"). A
    StopRequested that leaves it means "stopped", exit code 0; any other exception "failed", 1.
    """
    try:
        contract = kind.from_environment()
    except StageError as error:
        say(f"lanewatch: {error}", error=True)
        return 2
    try:
        contract.install()
        fields = dict(main(contract))
    except BaseException as error:  # noqa: BLE001 - the rim of the stage: whatever it was is reported
        contract.raise_on_stop = False  # a second signal must not cost the result
        if is_stop(error):
            contract.finish(True, "stopped")
            return 0
        contract.finish(False, "failed", describe(error, contract.run_dir))
        traceback.print_exception(type(error), error, error.__traceback__)
        return 1
    contract.raise_on_stop = False
    outcome = str(fields.pop("outcome", "finished"))
    contract.finish(True, outcome, **fields)
    return 0


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _attempt_of(result: Mapping[str, Any] | None) -> int:
    attempt = (result or {}).get("attempt")
    return attempt if isinstance(attempt, int) else 0


def _json_safe(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return *values* with numbers that are none as null, and {"nan": True} if a loss was."""
    safe = {key: _safe(value) for key, value in values.items()}
    losses = (value for key, value in values.items() if "loss" in key)
    lost = any(isinstance(each, float) and not math.isfinite(each) for each in losses)
    return safe, {"nan": True} if lost else {}


def _safe(value: Any) -> Any:
    """JSON knows no NaN: such a number, at any depth, becomes null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _safe(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_safe(each) for each in value]
    return value
