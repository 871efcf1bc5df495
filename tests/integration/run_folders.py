"""Run folders as keeper, trainer and watcher leave them, and who reads them in the UI's tests."""

from __future__ import annotations

import json
from pathlib import Path

from monitor.probes.clock import Now
from monitor.status import read_status
from monitor.status_model import RunStatus

FINISHED = "reference-20260521-101112-3fa2"


def write_run(folder: Path, status: str = "finished") -> None:
    """A run folder as keeper, trainer and watcher leave it."""
    wall = 1_779_370_200.0
    (folder / "logs").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    run = {
        "schema": 1,
        "run": folder.name,
        "name": "demo",
        "created_wall": wall - 100,
        "lane": "reference",
        "engine": "local",
        "recipe": {},
        "iterations": 60,
        "kind": "full",
        "paths": {"base": str(folder), "checkpoints": str(folder / "checkpoints")},
        "stages": ["train", "merge"],
    }
    state = {
        "schema": 1,
        "run": folder.name,
        "attempt": 1,
        "status": status,
        "stage": "merge",
        "stage_index": 2,
        "stage_count": 2,
        "stages": [{"name": "train", "status": "done"}, {"name": "merge", "status": "done"}],
        "updated_wall": wall,
    }
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "logs" / "merge.log").write_text("merged \x1b[1mall\x1b[0m\n[bold]done[/]\n")
    metrics = [
        {"attempt": 1, "iteration": at, "loss": 2.0 - at / 60, "step_s": 1.0, "wall_s": wall}
        for at in range(1, 61)
    ]
    lines = "".join(json.dumps(each) + "\n" for each in metrics)
    (folder / "metrics.jsonl").write_text(lines + '{"attempt":1,"itera')


def later(now: Now, seconds: float) -> Now:
    """The same boot, so many seconds on."""
    return Now(
        boot_id=now.boot_id, monotonic_s=now.monotonic_s + seconds, wall_s=now.wall_s + seconds
    )


def files_of(root: Path) -> dict[str, int]:
    """Every file and when it was last written."""
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*")}


class Counted:
    """Reads a status and counts for which folder."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, folder: Path, now: Now) -> RunStatus:
        self.read.append(folder.name)
        return read_status(folder, now=now)


def unseen(part: tuple[RunStatus, ...]) -> None:
    """For a first look that is short."""
