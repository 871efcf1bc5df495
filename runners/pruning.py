"""Free what `holdings` found, one folder after another.

The rule: each is looked at again at the last moment, renamed out of sight and only then deleted;
no launch or resume can begin meanwhile.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from monitor.events import append_event
from monitor.probes.clock import read_now
from monitor.rundir import RunDir
from monitor.words import gibibytes
from runners.box import launching
from runners.cache_roots import known_roots
from runners.holdings import TRASH, Item, Kind, freeable


def prune(root: Path, cache: Path, items: list[Item]) -> Iterator[tuple[Item, str | None]]:
    """Delete *items* of *root* and *cache*; yields each with why it was not, None where it was."""
    with contextlib.ExitStack() as locks:
        for each in sorted({root, *known_roots(cache)}):
            locks.enter_context(launching(each))
        free = {each.path for each in freeable(root, cache)}
        for item in items:
            if item.path not in free:
                yield item, "it is needed by now"
                continue
            yield item, _free(root, item)


def _free(root: Path, item: Item) -> str | None:
    inodes = _inodes(item.path)
    trash = item.path
    if not item.path.name.startswith(TRASH):
        trash = item.path.with_name(f"{TRASH}{item.path.name}-{os.getpid()}")
    if (closed := _closed(item.path)) is not None:
        return f"{closed} may not be emptied: `sudo rm -r {shlex.quote(str(item.path))}`"
    try:
        item.path.rename(trash)
        shutil.rmtree(trash)
    except OSError as error:
        return f"{error.filename or item.path}: {error.strerror or error}"
    if item.run is not None:
        run = RunDir(root / item.run)
        if item.kind is Kind.CHECKPOINT:
            _remove_other_names(run.work, inodes)
        append_event(
            run.events,
            kind="action",
            text=f"pruned {item.path.name} ({gibibytes(item.bytes)})",
            source="prune",
            now=read_now(),
        )
    return None


def _closed(folder: Path) -> Path | None:
    """A folder in there that we may not empty; then nothing is begun, for half would be useless."""
    inside = (Path(path, name) for path, names, _ in os.walk(folder) for name in names)
    for each in itertools.chain([folder], inside):
        if not each.is_symlink() and not os.access(each, os.R_OK | os.W_OK | os.X_OK):
            return each
    return None


def _inodes(folder: Path) -> set[tuple[int, int]]:
    return {
        (status.st_dev, status.st_ino)
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
        for status in (path.stat(),)
    }


def _remove_other_names(work: Path, inodes: set[tuple[int, int]]) -> None:
    """The trainer's own save is the same files by another name: both go, or nothing is freed."""
    for path in list(work.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        status = path.stat()
        if (status.st_dev, status.st_ino) in inodes:
            path.unlink(missing_ok=True)
            if path.parent != work and not any(path.parent.iterdir()):
                path.parent.rmdir()
