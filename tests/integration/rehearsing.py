"""Rehearse drills as a user does, several at once, each in a folder that must end up empty.

Each is diagnosed where its table says so: a drill is too dear to be run once more for that.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runners.drills.table import DRILLS

CLI = (sys.executable, "-P", "-m", "tui", "drill")
AT_ONCE = 6
"""Their trainers mostly sleep; more would make the two cores of a CI machine late."""
PATIENCE_S = 150.0


@dataclass(frozen=True)
class Outcome:
    """What one `lanewatch drill NAME --json` said and left."""

    code: int
    said: dict[str, Any]
    complained: str
    left: list[str]

    @property
    def told(self) -> str:
        """The timeline, for the message of a test that fails."""
        lines = [
            f"{each['real_s']:7.2f} {each.get('verdict', '-'):<10} {each['text']}"
            for each in self.said.get("timeline", [])
        ]
        return "\n".join([*self.said.get("problems", []), *lines, self.complained])

    def diagnosed(self) -> dict[str, Any]:
        """The one diagnosis of the drill; {} where it was judged from a recording."""
        found: list[dict[str, Any]] = self.said.get("diagnoses", [])
        return found[0] if found else {}

    def verdicts(self) -> list[str]:
        """Every verdict and flag of the timeline."""
        lines = [each for each in self.said["timeline"] if each["kind"] == "verdict"]
        return [word for each in lines for word in (each["verdict"], *each["flags"])]


class Stage:
    """Starts the drills that are asked for before their tests wait for them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._drills: dict[str, Future[Outcome]] = {}
        self._memory = threading.Lock()

    def start(self, name: str) -> Future[Outcome]:
        if name not in self._drills:
            self._drills[name] = self._pool.submit(self._rehearse, name)
        return self._drills[name]

    def _rehearse(self, name: str) -> Outcome:
        """The memory of the machine is one: two that fill it would be judged for each other."""
        alone = self._memory if DRILLS[name].budget_bytes else contextlib.nullcontext()
        with alone:
            return rehearse(name, self._root / name)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def rehearse(name: str, home: Path, *flags: str) -> Outcome:
    """Run one drill to its end."""
    done = subprocess.run(
        [*CLI, name, "--json", "--diagnose", *flags],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        stdin=subprocess.DEVNULL,
        env=environment(home),
    )
    said = json.loads(done.stdout) if done.stdout else {}
    return Outcome(done.returncode, said, done.stderr, leftovers(home))


def environment(home: Path) -> dict[str, str]:
    """Folders of the drill's own; the name of the temporary one marks all of its processes."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LANEWATCH_")}
    return kept | {
        "TMPDIR": str(temporary),
        "LANEWATCH_RUNS": str(home / "runs"),
        "XDG_CONFIG_HOME": str(home / "config"),
    }


def leftovers(home: Path) -> list[str]:
    """Processes, files and mounts of the drill that are still there."""
    left = [str(path) for path in (home / "tmp").iterdir()]
    left += [
        line for line in Path("/proc/self/mounts").read_text().splitlines() if str(home) in line
    ]
    deadline = time.monotonic() + 2.0  # an orphan's last breath
    while (living := processes(home)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left + living


def processes(home: Path) -> list[str]:
    """Command lines of the living processes that were started with the drill's folder."""
    mark = f"TMPDIR={home / 'tmp'}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found
