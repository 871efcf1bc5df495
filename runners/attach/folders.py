"""Which folder a trainer saves into: what it was told, what it has open, what lies near.

The rule: a folder is named together with why it is taken to be the one. Old checkpoints of another
run lie about everywhere, so that what changed since the process began comes first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from monitor.rundir import TRACKER
from runners.attach.values import Descriptor, Found

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


def search_below(folder: Path, began_wall: float | None) -> Path | None:
    """The folder with checkpoints in or below *folder* that changed last since the run began."""
    found = [
        (wall, each)
        for each in _below(folder, DEPTH)
        if (wall := changed_wall(each)) is not None
        and (began_wall is None or wall >= began_wall - 1)
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def open_folder(files: tuple[Descriptor, ...] | None) -> str | None:
    """The folder, as the process sees it, in which it has a checkpoint's file open."""
    for each in files or ():
        parts = each.target.split("/")
        for position, part in enumerate(parts):
            if position and (CHECKPOINT.fullmatch(part) or part == TRACKER):
                return "/".join(parts[:position]) or "/"
    return None


def below_any(folders: list[tuple[str, str]], began_wall: float | None) -> Found | None:
    """Search below each (folder, what it is) in turn."""
    for folder, what in folders:
        if folder in ("/", str(Path.home())):
            continue  # everything lies below these
        found = search_below(Path(folder), began_wall)
        if found is not None:
            return Found(str(found), f"checkpoints below {what}")
    return None


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
