"""A run folder that says of a real process: this trainer has made no progress for two hours.

No watcher is needed: whoever looks once judges by the heartbeat, which is of that time.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fabricated import named
from hanging import PATIENCE_S, environment, interpreter

from monitor.probes.clock import RATE_VARIABLE, boot_id
from monitor.probes.process import identify
from monitor.rundir import RunDir

SILENT_S = 7200.0
RATE = max(1.0, 2 * SILENT_S / time.monotonic())
"""Seconds that are judged per second: a drill's, where the machine has not been up for so long."""
NAME = "reference-20260101-000000-abcd"


@contextlib.contextmanager
def open_folder(uid: int) -> Iterator[Path]:
    """A folder of *uid* outside of pytest's own, which are closed to anyone else."""
    folder = Path(tempfile.mkdtemp(prefix="lanewatch-stuck-"))
    folder.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(folder, uid, uid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_run(folder: Path, pid: int, uid: int, **state: Any) -> RunDir:
    """The folder of a run in *folder* whose trainer is the process *pid*, long since silent."""
    run = RunDir(folder / NAME)
    for each in (run.root, run.logs, run.checkpoints):
        each.mkdir(parents=True)
    ours = {"schema": 1, "run": NAME, "lane": "reference", "engine": "local", "kind": "full"}
    recipe = {"train": {"save_interval": 5, "iterations": 1000}}
    run.run_json.write_text(json.dumps(ours | {"iterations": 1000, "recipe": recipe}))
    at = {"attempt": 1, "status": "running", "stage": "train", "boot_id": boot_id()}
    run.state.write_text(json.dumps({"schema": 1, "process": named(pid)} | at | state))
    beat = {"schema": 1, "attempt": 1, "seq": 9, "pid": pid, "boot_id": boot_id(), "done": 12}
    told_s = time.monotonic() * RATE - SILENT_S
    when = {"monotonic_s": told_s, "stage": "train", "phase": "iteration"}
    rest = {"total": 1000, "unit": "iterations", "loss": 1.0, "step_s": 1.0}
    run.heartbeat.write_text(json.dumps(beat | when | rest))
    if os.geteuid() == 0:
        for each in (run.root, *run.root.rglob("*")):
            os.chown(each, uid, uid)
    return run


@contextlib.contextmanager
def trainer(uid: int, folder: Path, script: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python of *uid* that runs *script* from a file; its whole session ends afterwards.

    The script prints a line once it stands where it is to stand.
    """
    path = folder / "train.py"
    path.write_text(script)
    path.chmod(0o644)
    child = subprocess.Popen(
        [interpreter(uid) or "", "-u", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        user=uid if os.geteuid() == 0 else None,
        group=uid if os.geteuid() == 0 else None,
        extra_groups=[] if os.geteuid() == 0 else None,
        env=environment(folder) | env,
        cwd=folder,
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline(), "the trainer has said nothing"
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, 9)
        child.wait(PATIENCE_S)
        child.stdout.close()


def asked(run: RunDir, uid: int, *words: str, **env: str) -> dict[str, Any]:
    """What `lanewatch diagnose --json` says to *uid*."""
    done = subprocess.run(
        [interpreter(uid) or "", "-P", "-m", "tui", "diagnose", run.root.name, "--json", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        env=environment(run.root.parent) | {RATE_VARIABLE: str(RATE)} | env,
        user=uid if os.geteuid() == 0 else None,
        group=uid if os.geteuid() == 0 else None,
        extra_groups=[] if os.geteuid() == 0 else None,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def main_pid(init: int) -> int:
    """The process that a container's init has started, once it has."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        children = Path(f"/proc/{init}/task/{init}/children").read_text().split()
        if children and identify(int(children[0])) is not None:
            return int(children[0])
        time.sleep(0.05)
    raise AssertionError(f"init {init} has started nothing: {sys.argv[0]}")
