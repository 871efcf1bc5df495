"""How a stage ended, in words. Pure: the same end always gets the same cause.

Believed in this order: what a person asked for, what the payload wrote as its last act, the exit
status, and where nobody saw the end, only that it is unknown.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitor.model import Status
from runners.engines.base import Exit
from runners.requests import Action, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEnd:
    """Everything known about the end of one stage."""

    stage: str
    exit: Exit
    result: Mapping[str, Any] | None
    """result.json, if this attempt of this stage wrote it."""
    asked: Request | None = None
    oom_kills: int = 0
    """Processes that the kernel killed for want of memory while the stage ran."""
    saved_iteration: int | None = None
    """The newest whole checkpoint on disk."""
    last_error: str | None = None
    """The last line of the log that reads like an error."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows for the run: None as status means the stage is done and the next may start."""

    status: Status | None
    cause: str | None = None


def judge_end(end: StageEnd) -> Outcome:
    """Return what the end of a stage means for its run."""
    if end.result is not None:
        return _from_result(end, end.result)
    request = end.asked
    if request is not None and request.action is Action.KILL:
        cause = f"killed by {asker(request)} in stage {end.stage}{_why(request)}"
        return Outcome(Status.STOPPED, cause)
    if request is not None and end.exit.signal == signal.SIGKILL and request.action is Action.STOP:
        cause = f"stopped by {asker(request)} in stage {end.stage}; it did not answer and was "
        return Outcome(Status.STOPPED, f"{cause}killed{_why(request)}")
    return Outcome(*_without_result(end))


def asker(request: Request) -> str:
    """Who asked, in a sentence."""
    return f"the {request.by}"


def _why(request: Request | None) -> str:
    return f": {request.why}" if request is not None and request.why else ""


def _from_result(end: StageEnd, result: Mapping[str, Any]) -> Outcome:
    outcome = result.get("outcome")
    if outcome == "finished":
        return Outcome(None)
    if outcome == "stopped":
        by = f"by {asker(end.asked)}" if end.asked else "by a signal from outside"
        where = f"in stage {end.stage}{_where(end, result)}"
        engine = f" ({end.exit.note})" if end.exit.note and not end.asked else ""
        return Outcome(Status.STOPPED, f"stopped {by} {where}{_why(end.asked)}{engine}")
    cause = result.get("cause")
    why = cause if isinstance(cause, str) and cause else "the trainer gave no cause"
    return Outcome(Status.FAILED, f"stage {end.stage}: {why}")


def _where(end: StageEnd, result: Mapping[str, Any]) -> str:
    iteration, saved = result.get("iteration"), end.saved_iteration
    if not isinstance(iteration, int):
        return ""
    if saved == iteration:
        return f", saved at iteration {iteration}"
    lost = "nothing saved" if saved is None else f"last checkpoint at iteration {saved}"
    return f" at iteration {iteration}, {lost}"


def _without_result(end: StageEnd) -> tuple[Status, str]:
    stops = (Action.STOP, Action.STOP_AND_SAVE)
    asked = end.asked is not None and end.asked.action in stops
    stopped = asked and end.exit.signal in (signal.SIGINT, signal.SIGTERM)
    status = Status.STOPPED if stopped else Status.FAILED
    return status, f"stage {end.stage}: {_how(end)}"


def _how(end: StageEnd) -> str:
    said = _status(end)
    if end.exit.oom_killed and end.exit.signal != signal.SIGKILL:
        said += "; the kernel killed a process of its container for want of memory"
    return f"{said} ({end.exit.note})" if end.exit.note else said


def _status(end: StageEnd) -> str:
    if not end.exit.known:
        lost = "" if end.exit.note else ": its keeper had died and it left no result"
        return f"exit status unknown{lost}"
    if end.exit.signal is not None:
        return _signalled(end.exit.signal, end.oom_kills)
    if end.exit.code == 0:
        return "exited with code 0 but never said that it had finished"
    why = f": {end.last_error}" if end.last_error else "; see its log"
    return f"exited with code {end.exit.code}{why}"


def _signalled(number: int, oom_kills: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if number == signal.SIGKILL and oom_kills > 0:
        return f"killed by {name}: the kernel ran out of memory (it killed {oom_kills} processes)"
    return f"killed by {name}"
