"""Folders with checkpoints: below another one, or open in a process.

The rule: old checkpoints of another run lie about everywhere, so that only what changed since the
process began counts. Whose they are is decided in `saving.py`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from monitor.rundir import TRACKER
from runners.attach.values import Descriptor

CHECKPOINT = re.compile(r"iter_\d{7,12}|checkpoint-\d{1,12}", re.ASCII)
MOST_ENTRIES = 400
DEPTH = 2
USUAL = ("checkpoints", "nemo_experiments/default/checkpoints", "outputs", "output", "results",
         "trainer_output", "runs")  # fmt: skip
"""Where trainers save when nobody tells them."""


def changed_wall(folder: Path) -> float | None:
    """When a checkpoint last came into *folder*; None where it holds none."""
    newest: float | None = None
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number >= MOST_ENTRIES:
                    break
                if entry.name == TRACKER or CHECKPOINT.fullmatch(entry.name):
                    newest = max(newest or 0.0, entry.stat().st_mtime)
    except OSError:
        return None
    return newest


def has_megatron_layout(folder: Path) -> bool:
    """True where a checkpoint is called iter_NNNNNNN."""
    try:
        with os.scandir(folder) as entries:
            return any(re.fullmatch(r"iter_\d{7,12}", each.name, re.ASCII) for each in entries)
    except OSError:
        return False


def saved_below(folder: Path, since_wall: float | None, depth: int = DEPTH) -> list[Path]:
    """Folders with checkpoints in or below *folder* that changed since then, the newest first."""
    found = [
        (wall, each)
        for each in dict.fromkeys(_below(folder, depth))
        if (wall := changed_wall(each)) is not None
        and (since_wall is None or wall >= since_wall - 1)
        and not _is_kept(each)
    ]
    return [each for _, each in sorted(found, key=lambda pair: pair[0], reverse=True)]


def open_folder(files: tuple[Descriptor, ...] | None) -> str | None:
    """The folder, as the process sees it, in which it has a checkpoint's file open."""
    for each in files or ():
        parts = each.target.split("/")
        for position, part in enumerate(parts):
            if position and (CHECKPOINT.fullmatch(part) or part == TRACKER):
                return "/".join(parts[:position]) or "/"
    return None


def _is_kept(folder: Path) -> bool:
    """A run's that lanewatch launched: its trainer is not one that could be attached."""
    return folder.name == "checkpoints" and (folder.parent / "run.json").is_file()


def _below(folder: Path, depth: int) -> Iterator[Path]:
    yield folder
    yield from (each for name in USUAL if os.path.isdir(each := folder / name))  # noqa: PTH112 - never raises
    if depth == 0:
        return
    try:
        with os.scandir(folder) as entries:
            inner = [
                Path(entry.path)
                for _, entry in zip(range(MOST_ENTRIES), entries, strict=False)
                if not entry.name.startswith(".")
                and not CHECKPOINT.fullmatch(entry.name)
                and entry.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return
    for each in inner:
        yield from _below(each, depth - 1)
