"""The command line as a user without a name, whose fine-tunes run in real containers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conftest import CLI, PATIENCE_S, Lanewatch, read
from engine import IMAGE, Engine, trainer_paths
from strangers import UID, as_stranger

from monitor.rundir import RunDir

ROWS = Path(__file__).parents[2] / "runners" / "recipe" / "demo" / "corpus.jsonl"


class Stranger(Lanewatch):
    """The command line as a user that /etc/passwd does not know, in the socket's group."""

    def __init__(self, root: Path, engine: Engine) -> None:
        super().__init__(root)
        self.engine = engine
        self.groups = [engine.socket.stat().st_gid]
        self.around: list[str] = []
        """The words of a program that runs each command."""
        self.home = root.parent
        self.rows = self.home / "rows" / ROWS.name

    def call(
        self, *words: str, patience_s: float = PATIENCE_S, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one command and return all of it."""
        own = {
            "HOME": str(self.home),
            "LANEWATCH_RUNS": str(self.root),
            "LANEWATCH_CACHE": str(self.home / "cache"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        argv = as_stranger([*CLI, *words], groups=self.groups, scratch=self.home / "root")
        return subprocess.run(
            [*self.around, *argv],
            capture_output=True,
            text=True,
            timeout=patience_s,
            check=False,
            stdin=subprocess.DEVNULL,
            env=os.environ | own | self.engine.env | env,
            cwd="/",
        )

    def train(self, *words: str, iterations: int, save_interval: int, **env: str) -> RunDir:
        """Start a fine-tune in a container."""
        run_id = self(
            "launch",
            f"--data={self.rows}",
            "--model=tiny-random-qwen3",
            "--set=model.sequence_length=512",
            "--set=train.accumulation=2",
            "--lane=reference",
            "--engine=docker",
            f"--set=docker.image={IMAGE}",
            f"--set=docker.python={CLI[0]}",
            f"--set=docker.read_only={json.dumps(trainer_paths())}",
            f"--set=train.iterations={iterations}",
            f"--set=train.save_interval={save_interval}",
            *words,
            **env,
        ).strip()
        return RunDir(self.root / run_id)

    def containers(self, run: RunDir) -> list[dict[str, Any]]:
        """What the engine says of the run's containers."""
        found = self.engine.docker("ps", "-aq", f"--filter=label=lanewatch.folder={run.root}")
        return list(json.loads(self.engine.docker("inspect", *found.split()))) if found else []


@contextlib.contextmanager
def stranger_at(own_engine: Engine) -> Iterator[Stranger]:
    """The command line of a stranger, in a folder of his own; nothing of it is left."""
    home = Path(tempfile.mkdtemp(prefix="lw-stranger-"))
    cli = Stranger(home / "runs", own_engine)
    cli.rows.parent.mkdir()
    shutil.copy(ROWS, cli.rows)
    for path in (home, *home.rglob("*")):
        os.chown(path, UID, UID)
    yield cli
    for run in cli.root.glob("*-*"):
        for key in ("keeper", "watcher"):
            with contextlib.suppress(ProcessLookupError, KeyError, TypeError):
                os.kill(read(run / "state.json")[key]["pid"], signal.SIGKILL)
        for each in cli.containers(RunDir(run)):
            own_engine.call("rm", "--force", each["Id"])
    shutil.rmtree(home, ignore_errors=True)
