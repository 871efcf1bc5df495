"""What a person asks of a run, through request.json: the keeper acts on it within a second."""

from __future__ import annotations

from monitor.requests import (
    STRENGTH,
    Action,
    Request,
    ask,
    clear_request,
    parse_request,
    read_asked,
)
from monitor.rundir import RunDir
from runners.errors import RunnerError

__all__ = [
    "STRENGTH",
    "Action",
    "Request",
    "clear_request",
    "parse_request",
    "put_request",
    "read_asked",
    "read_request",
]


def put_request(run: RunDir, action: Action) -> None:
    """Write request.json, unless something stronger already waits there.

    Raises RunnerError when the folder does not allow it.
    """
    try:
        ask(run, Request(action))
    except OSError as error:
        raise RunnerError(f"cannot write {run.request}: {error.strerror or error}") from error


def read_request(run: RunDir) -> Action | None:
    """Return what is asked; a request nobody can read is cleared away."""
    asked = read_asked(run)
    return asked.action if asked else None
