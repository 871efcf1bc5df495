"""Stages as plain processes of this machine: each in a session of its own, its log a file.

A trainer is found again by what its environment says (run, stage, attempt), which the kernel
keeps for as long as it lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monitor.model import ProcessId
from monitor.probes.clock import boot_id
from monitor.probes.process import find_by_environment, is_alive, parse_stat
from monitor.probes.text import clean_line
from runners.engines.base import Exit, Handle, Need, StageRequest
from runners.errors import EngineError
from runners.payload.trackers import missing_words

SECRETS = ("TOKEN", "SECRET", "PASSWORD", "API_KEY", "CREDENTIAL")
"""A variable whose name holds one of these is not handed to a trainer."""

_MISSING = """
import importlib.util, json, sys

def missing(name):
    try:
        return importlib.util.find_spec(name) is None
    except ModuleNotFoundError:
        return True  # the package that it is in

print(json.dumps([name for name in sys.argv[1:] if missing(name)]))
"""

KILL_WAIT_S = 5.0
BURY_ROUNDS = 20


class LocalEngine:
    """See `runners.engines.base.Engine`."""

    name = "local"

    def __init__(self) -> None:
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def check(self, need: Need) -> None:
        if shutil.which(need.python) is None:
            raise EngineError(
                f"the Python {need.python!r} for the trainer is not there or not runnable"
            )
        absent = set(_missing_modules(need))
        if missing := [each for each in need.modules if each in absent]:
            raise EngineError(
                f"the {need.lane} lane needs {', '.join(missing)} in {need.python}: "
                f"`pip install '.[{need.extra}]'` there, in a checkout of lanewatch"
            )
        for name, modules in need.trackers.items():
            if absent.issuperset(modules):
                raise EngineError(missing_words(name, modules, need.python))

    def check_requests(self, requests: Sequence[StageRequest]) -> None:
        """Processes need no names and are given nothing."""

    def start(self, request: StageRequest) -> Handle:
        try:
            child = self._spawn(request)
        except OSError as error:
            where = error.filename or request.argv[0]
            raise EngineError(
                f"cannot start stage {request.stage}: {where}: {error.strerror or error}"
            ) from error
        self._children[child.pid] = child
        return Handle(process=_identity(child.pid), child=True)

    def _spawn(self, request: StageRequest) -> subprocess.Popen[bytes]:
        log = os.open(request.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        lock = os.open(request.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Shared, and taken before the fork: from its first instant the stage holds the lock,
            # so whoever looks between the fork and the next line of state.json sees a living run.
            fcntl.flock(lock, fcntl.LOCK_SH)
            return subprocess.Popen(
                request.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=request.cwd,
                env=_environment(request),
                pass_fds=(lock,),
                start_new_session=True,
            )
        finally:
            os.close(log)
            os.close(lock)

    def find(self, request: StageRequest) -> Handle | None:
        found = find_by_environment(identity_environment(request))
        stages = [each for each in found if _leads_its_session(each.pid)]
        return Handle(process=stages[0]) if stages else None

    def poll(self, handle: Handle) -> Exit | None:
        child = self._children.get(handle.process.pid)
        if child is not None:
            code = child.poll()
            if code is None:
                return None
            return Exit(signal=-code) if code < 0 else Exit(code=code)
        return None if is_alive(handle.process) else Exit()

    def ask_to_stop(self, handle: Handle, *, save: bool) -> None:
        _send(handle.process, signal.SIGTERM if save else signal.SIGINT)

    def kill(self, handle: Handle) -> None:
        if not is_alive(handle.process):
            return
        try:
            os.killpg(handle.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            _send(handle.process, signal.SIGKILL)
        deadline = time.monotonic() + KILL_WAIT_S
        while self.poll(handle) is None and time.monotonic() < deadline:
            time.sleep(0.02)

    def bury(self, request: StageRequest) -> None:
        # Each round finds the processes without a parent among them; the next one their children.
        for _ in range(BURY_ROUNDS):
            orphans = find_by_environment(identity_environment(request))
            if not orphans:
                return
            for orphan in orphans:
                _send(orphan, signal.SIGKILL)
            time.sleep(0.02)

    def describe(self, request: StageRequest) -> dict[str, Any]:
        return {
            "stage": request.stage,
            "argv": list(request.argv),
            "env": dict(request.env) | identity_environment(request),
            "cwd": str(request.cwd),
            "log": str(request.log),
        }


def _missing_modules(need: Need) -> list[str]:
    trackers = [module for modules in need.trackers.values() for module in modules]
    argv = [need.python, "-P", "-c", _MISSING, *need.modules, *trackers]
    try:
        result = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
        return [str(name) for name in json.loads(result.stdout)]
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines() or [f"exit code {error.returncode}"]
        why = clean_line(said[-1])
        raise EngineError(f"the trainer's Python {need.python} does not run: {why}") from error
    except subprocess.TimeoutExpired as error:
        raise EngineError(
            f"the trainer's Python {need.python} does not run: no answer in {error.timeout:.0f} s"
        ) from error
    except (OSError, ValueError) as error:
        raise EngineError(f"the trainer's Python {need.python} does not run: {error}") from error


def identity_environment(request: StageRequest) -> dict[str, str]:
    """The variables by which a stage is known; the folder, since a copied run keeps its id."""
    return {
        "LANEWATCH_RUN": request.run,
        "LANEWATCH_RUN_DIR": str(request.folder),
        "LANEWATCH_STAGE": request.stage,
        "LANEWATCH_ATTEMPT": str(request.attempt),
    }


def _environment(request: StageRequest) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in request.secrets
        or not (name.startswith("LANEWATCH_") or any(word in name.upper() for word in SECRETS))
    }
    return kept | dict(request.env) | identity_environment(request)


def _identity(pid: int) -> ProcessId:
    """Name our own child, also when it has already ended: until we wait, its pid is its own."""
    stat = parse_stat(Path(f"/proc/{pid}/stat").read_bytes())
    if stat is None:
        raise EngineError(f"process {pid} cannot be read in /proc; is it mounted?")
    return ProcessId(pid=pid, boot_id=boot_id(), start_ticks=stat.start_ticks)


def _leads_its_session(pid: int) -> bool:
    """A stage does; what it started and left behind does not, though it carries the same name."""
    try:
        return os.getsid(pid) == pid
    except OSError:
        return False


def _send(process: ProcessId, number: signal.Signals) -> None:
    if is_alive(process):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, number)
