"""Bring back a run's keeper, and through it the watcher: for the commands and the service."""

from __future__ import annotations

from monitor.rundir import RunDir
from runners.errors import RunnerError
from runners.launch import start_keeper
from runners.runs import lock_is_free, read_run


def ensure_keeper(run: RunDir) -> bool:
    """Start a keeper if the run has none; True if one was started. Raises RunnerError."""
    if not lock_is_free(run.keeper_lock):
        return False
    read_run(run)
    try:
        start_keeper(run)
    except RunnerError:
        # Two may have asked at once: it is enough that one of the keepers is there.
        if lock_is_free(run.keeper_lock):
            raise
        return False
    return True
