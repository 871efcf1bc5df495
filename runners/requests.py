"""What a person asks of a run, through request.json: the keeper acts on it within a second."""

from __future__ import annotations

import contextlib
import time
from enum import StrEnum

from monitor.files import read_json, write_json
from monitor.rundir import SCHEMA, RunDir
from runners.errors import RunnerError


class Action(StrEnum):
    """What can be asked."""

    STOP = "stop"
    STOP_AND_SAVE = "stop-and-save"
    KILL = "kill"
    WATCH = "watch"
    """Bring the watcher back, also after the keeper gave up on it."""


STRENGTH = (Action.WATCH, Action.STOP_AND_SAVE, Action.STOP, Action.KILL)
"""From the mildest on: one that is not carried out yet gives way to a stronger one only."""


def put_request(run: RunDir, action: Action) -> None:
    """Write request.json, unless something stronger already waits there.

    Raises RunnerError when the folder does not allow it.
    """
    waiting = read_request(run)
    if waiting is not None and STRENGTH.index(waiting) > STRENGTH.index(action):
        return
    content = {"schema": SCHEMA, "action": action.value, "asked_wall": time.time()}
    try:
        write_json(run.request, content, durable=True)
    except OSError as error:
        raise RunnerError(f"cannot write {run.request}: {error.strerror or error}") from error


def read_request(run: RunDir) -> Action | None:
    """Return what is asked; a request nobody can read is cleared away."""
    read = read_json(run.request)
    if read.value is None and read.problem is None:
        return None
    try:
        return Action(str((read.value or {}).get("action")))
    except ValueError:
        clear_request(run)
        return None


def clear_request(run: RunDir) -> None:
    """Say that the request was carried out; called after the deed, so that no request is lost."""
    with contextlib.suppress(OSError):
        run.request.unlink(missing_ok=True)
