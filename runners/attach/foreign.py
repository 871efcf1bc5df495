"""A foreign run's folder: who watches it, and what cannot be asked of it.

The rule: lanewatch did not start the trainer, so it never ends it, and removing the folder ends
nothing but the watch.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monitor import locks
from monitor.files import read_json
from monitor.probes.process import is_alive
from monitor.rundir import RunDir
from monitor.target import process_id
from runners.attach.guard import guard_argv
from runners.detach import detached_argv
from runners.errors import RunnerError, RunStateError

KIND = "foreign"
READY_S = 20.0
"""A watcher is there within a second; this long only on a machine that thrashes."""


def is_foreign(run: RunDir) -> bool:
    """True for a run that lanewatch did not start."""
    return (read_json(run.run_json).value or {}).get("kind") == KIND


def refuse(run: RunDir, wanted: str) -> None:
    """Raise RunStateError with what to do instead, if *run* is foreign."""
    info = read_json(run.run_json).value or {}
    if info.get("kind") != KIND:
        return
    raise RunStateError(
        f"cannot {wanted} {run.root.name}: lanewatch did not start it; {_instead(info, wanted)}"
    )


def _instead(info: dict[str, Any], wanted: str) -> str:
    if wanted == "resume":
        return "start its trainer again the way it was started, then `lanewatch attach`"
    process, container = process_id(info.get("process")), info.get("container")
    if process is not None and not is_alive(process):
        return "its process has ended already"  # its pid may be another's by now
    pid = process.pid if process else None
    signal = "KILL" if wanted == "kill" else "TERM"
    ways = [f"`kill -{signal} {pid}`"] if pid else []
    if isinstance(container, dict) and container.get("name"):
        verb = "kill" if wanted == "kill" else "stop"
        ways.append(f"`docker {verb} {container['name']}`, which ends all of its container")
    return f"end it yourself with {' or '.join(ways)}" if ways else "end it where it was started"


def ensure_watched(run: RunDir) -> tuple[str, ...]:
    """Start the guard and, through it, the watcher, that outlive us; return who was started.

    Raises RunnerError when they do not come up.
    """
    missing = [
        (name, lock)
        for name, lock in (("watcher", run.watcher_lock), ("guard", run.guard_lock))
        if not locks.is_held(lock)
    ]
    if not missing:
        return ()
    # A guard starts the watcher itself; one that has given up takes to a watcher that is there.
    watcher = [sys.executable, "-P", "-m", "monitor.watcher", str(run.root)]
    argv = watcher if missing[-1][0] == "watcher" else guard_argv(run)
    detached = detached_argv(argv, run.root.name)
    wanted = [lock for _, lock in missing]
    if not _start(run, detached, wanted) and (detached == argv or not _start(run, argv, wanted)):
        raise RunnerError(
            f"the watcher of {run.root.name} did not start; see {run.logs / 'watcher.log'}"
        )
    return tuple(name for name, _ in missing)


def _start(run: RunDir, argv: list[str], wanted: Sequence[Path]) -> bool:
    """Start *argv* and wait until somebody holds each of the locks."""
    try:
        log = os.open(run.logs / "watcher.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise RunnerError(f"cannot write in {run.logs}: {error.strerror or error}") from error
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    except OSError:
        return False
    finally:
        os.close(log)
    deadline = time.monotonic() + READY_S
    while not all(map(locks.is_held, wanted)):
        # One that leaves because another was there first: that one's watcher is on its way.
        ended = child.poll() is not None
        if (ended and not _is_coming(child, wanted)) or time.monotonic() > deadline:
            return child.returncode == 0  # a run that was over at the first look needs no watcher
        time.sleep(0.02)
    child.returncode = 0  # it goes on without us: no warning that it was not waited for
    return True


def _is_coming(child: subprocess.Popen[bytes], wanted: Sequence[Path]) -> bool:
    return child.returncode != 0 and any(map(locks.is_held, wanted))
