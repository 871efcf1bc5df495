"""Do what a remedy says: commands of lanewatch, one after another, and SIGCONT.

The rule: exactly the commands that were shown and confirmed, and of others than lanewatch's only
SIGCONT to a process that is still stopped, and the end of a container's pause.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.diagnosis.values import Remedy

COMMAND_S = 120.0
ENGINE_S = 20
END_S = 60.0
"""For so long a run may take to end after it was killed."""


class NotDoneError(Exception):
    """A remedy could not be done; the message is the sentence to show."""


def carry_out(remedy: Remedy, root: Path) -> str:
    """Run the commands of *remedy* for the runs below *root*. Raises NotDoneError."""
    for number, command in enumerate(remedy.commands):
        if command[:2] == ("kill", "-CONT"):
            _continue(command[2:])
            continue
        if command[:2] == ("docker", "unpause"):
            _unpause(command[2])
            continue
        if command[0] != "lanewatch":
            raise NotDoneError(f"{' '.join(command)} is not lanewatch's to run")
        if number and remedy.commands[number - 1][:2] == ("lanewatch", "kill"):
            _await_end(root / command[-1])
        _run(command[1:], root)
    return f"done: {'; '.join(' '.join(each) for each in remedy.commands)}"


def _continue(pids: Sequence[str]) -> None:
    from monitor.probes.process import parse_stat
    from monitor.probes.raw import read_proc

    for pid in map(int, pids):
        try:
            stat = parse_stat(read_proc(f"/proc/{pid}/stat", 4096))
            if stat is None or stat.state not in ("T", "t"):
                raise NotDoneError(f"process {pid} is not stopped any more")
            os.kill(pid, signal.SIGCONT)
        except OSError as error:
            raise NotDoneError(f"process {pid}: {error.strerror or error}") from None


def _unpause(container: str) -> None:
    from runners.engines.docker_client import DockerConnection
    from runners.errors import RunnerError

    engine = DockerConnection(answer_s=ENGINE_S)
    try:
        engine.ask(lambda client: client.unpause(container))
    except RunnerError as error:
        raise NotDoneError(str(error)) from None
    finally:
        engine.close()


def _await_end(run: Path) -> None:
    from monitor.target import read_target

    deadline = time.monotonic() + END_S
    while not read_target(run).final:
        if time.monotonic() > deadline:
            raise NotDoneError(f"{run.name} was killed and has not ended within {END_S:.0f} s")
        time.sleep(0.2)


def _run(words: Sequence[str], root: Path) -> None:
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "tui", *words],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"LANEWATCH_RUNS": str(root)},
        )
    except subprocess.TimeoutExpired:
        command = " ".join(("lanewatch", *words))
        raise NotDoneError(f"{command} did not answer within {COMMAND_S:.0f} s") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise NotDoneError(said[-1] if said else f"it exited with {done.returncode}")
