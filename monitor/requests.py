"""request.json: what is asked of a run, by a person or by the memory guard.

The keeper acts on it within a second. It is a part of the run's folder, as state.json is: whoever
writes it knows nothing of how a run is started or ended.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from monitor.files import read_json, write_json
from monitor.rundir import SCHEMA, RunDir

USER = "user"
MEMORY_GUARD = "memory guard"
ASKERS = (USER, MEMORY_GUARD)


class Action(StrEnum):
    """What can be asked."""

    STOP = "stop"
    STOP_AND_SAVE = "stop-and-save"
    KILL = "kill"
    WATCH = "watch"
    """Bring the watcher back, also after the keeper gave up on it."""


STRENGTH = (Action.WATCH, Action.STOP_AND_SAVE, Action.STOP, Action.KILL)
"""From the mildest on: one that is not carried out yet gives way to a stronger one only."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, by whom, and why."""

    action: Action
    by: str = USER
    why: str | None = None


def ask(run: RunDir, request: Request) -> bool:
    """Write request.json; False when something stronger waits there. Raises OSError."""
    waiting = read_asked(run)
    if waiting is not None and STRENGTH.index(waiting.action) > STRENGTH.index(request.action):
        return False
    content = {
        "schema": SCHEMA,
        "action": request.action.value,
        "by": request.by,
        "why": request.why,
        "asked_wall": time.time(),
    }
    write_json(run.request, content, durable=True)
    return True


def read_asked(run: RunDir) -> Request | None:
    """Return what is asked; a request nobody can read is cleared away."""
    read = read_json(run.request)
    if read.value is None and read.problem is None:
        return None
    request = parse_request(read.value or {})
    if request is None:
        clear_request(run)
    return request


def parse_request(value: Mapping[str, Any]) -> Request | None:
    """Take a request out of JSON; None when it names no action that we know."""
    by, why = value.get("by"), value.get("why")
    try:
        action = Action(str(value.get("action")))
    except ValueError:
        return None
    return Request(action, by if by in ASKERS else USER, why if isinstance(why, str) else None)


def clear_request(run: RunDir) -> None:
    """Say that the request was carried out; called after the deed, so that no request is lost."""
    with contextlib.suppress(OSError):
        run.request.unlink(missing_ok=True)
