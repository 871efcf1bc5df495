"""A real run that hangs and stays so: a drill whose director does not go on after the stall."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pydantic

import monitor
from monitor.diagnosis.pyspy import find_pyspy
from monitor.probes.clock import RATE_VARIABLE
from monitor.rundir import RunDir
from monitor.watch_state import read_watch

RATE = 20.0
PATIENCE_S = 90.0
WITHOUT_PTRACE = 1000
"""An ordinary user, where the suite is root and may be anyone."""


def users() -> list[int]:
    """Whom a test may play: root too, and somebody else where a Python is for everyone."""
    if os.geteuid() != 0:
        return [os.geteuid()]
    return [0, WITHOUT_PTRACE] if interpreter(WITHOUT_PTRACE) else [0]


@cache
def interpreter(uid: int) -> str | None:
    """A Python like ours that *uid* may start; ours may be at home with root."""
    if uid == os.geteuid():
        return sys.executable
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    for each in (sys.executable, f"/usr/bin/python{minor}", f"/usr/local/bin/python{minor}"):
        with contextlib.suppress(OSError):
            done = subprocess.run(
                [each, "-P", "-c", "import monitor, pydantic"],
                check=False,
                capture_output=True,
                user=uid,
                env={"PYTHONPATH": _packages()},
            )
            if done.returncode == 0:
                return each
    return None


def _packages() -> str:
    """Where lanewatch and what it depends on lie."""
    found = [Path(each.__file__ or "").parents[1] for each in (monitor, pydantic)]
    return os.pathsep.join(map(str, found))


@contextlib.contextmanager
def hanging(name: str, uid: int, trainer: Mapping[str, Any] | None = None) -> Iterator[RunDir]:
    """Start drill *name*, with what *trainer* changes, as *uid*; end all of it afterwards.

    In a folder of its own: those of pytest are closed to anyone else.
    """
    root = Path(tempfile.mkdtemp(prefix="lanewatch-hanging-"))
    if os.geteuid() == 0:
        os.chown(root, uid, -1)
    child = subprocess.Popen(
        [interpreter(uid) or "", "-P", __file__, name, str(root), json.dumps(trainer or {})],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(root),
        user=uid if os.geteuid() == 0 else None,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        yield RunDir(Path(child.stdout.readline().decode().strip()))
    finally:
        child.stdin.close()
        child.wait(PATIENCE_S)
        child.stdout.close()
        shutil.rmtree(root, ignore_errors=True)


def environment(root: Path) -> dict[str, str]:
    """The run's root and clock, without what the suite's user has configured."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LANEWATCH_")}
    own = {"HOME": str(root), "LANEWATCH_RUNS": str(root), RATE_VARIABLE: str(RATE)}
    tools = os.pathsep.join((kept.get("PATH", ""), str(Path(find_pyspy() or "/usr/bin/").parent)))
    own |= {"PYTHONPATH": _packages(), "PATH": tools, "XDG_CONFIG_HOME": str(root / "config")}
    return kept | own


def until(run: RunDir, verdict: str) -> None:
    """Wait for the watcher's verdict."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        state = read_watch(run.watch).value
        if state is not None and state.verdict.liveness == verdict:
            return
        time.sleep(0.1)
    raise AssertionError(f"{run.root.name} is not {verdict}: {read_watch(run.watch)}")


def diagnosed(run: RunDir, uid: int) -> dict[str, Any]:
    """What `lanewatch diagnose --json` says to *uid*."""
    done = subprocess.run(
        [interpreter(uid) or "", "-P", "-m", "tui", "diagnose", run.root.name, "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        env=environment(run.root.parent),
        user=uid if os.geteuid() == 0 else None,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _direct(name: str, root: Path, trainer: Mapping[str, Any]) -> None:
    from runners.drills.director import Director
    from runners.drills.table import DRILLS

    drill = DRILLS[name]
    drill = replace(drill, trainer={**drill.trainer, **trainer})
    director = Director(drill, root, RATE, lambda _: None)
    try:
        director.cast.start()
        sys.stdout.write(f"{director.run.root}\n")
        sys.stdout.flush()
        sys.stdin.read()
    finally:
        for note in _stopped(director):
            with contextlib.suppress(ProcessLookupError):
                os.kill(note, 18)
        director.close()


def _stopped(director: Any) -> Iterator[int]:
    from runners.drills.notes import read_notes

    for note in read_notes(director.cast.place):
        if "stopped" in note:
            yield int(note["stopped"]["pid"])


if __name__ == "__main__":
    _direct(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]))
