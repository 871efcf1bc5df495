"""What runs and caches hold of the disk, and what of it could be freed. Reads; deletes nothing.

The rule: what a live or waiting run may need is never up for it, nor what the tracker or a merge
names, nor the newest checkpoint that a stopped run could go on from. A foreign run's checkpoints
are not ours.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from monitor.model import Status
from monitor.rundir import RunDir
from runners.attach.foreign import is_foreign
from runners.cache_roots import known_roots
from runners.checkpoint_files import unresumable
from runners.errors import RunnerError
from runners.payload.checkpoints import KEEP_FILE, Checkpoints
from runners.runs import iter_runs, read_status_word, someone_lives
from runners.stages import newest_whole

MERGED = "merged-hf-bf16"
IMPORTS = "imports"
ENVIRONMENTS = "environments"
"""Folders of $LANEWATCH_CACHE; each of their entries is one thing that runs share."""
TRASH = ".trash-"
"""Before the name of what is being deleted."""
YOUNG_S = 60.0
"""A launch has its keeper by then."""


class Kind(StrEnum):
    """What could be freed."""

    IMPORT = "imports"
    ENVIRONMENT = "environments"
    MERGED = "merged"
    CHECKPOINT = "checkpoints"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One folder that could be freed."""

    kind: Kind
    path: Path
    bytes: int
    run: str | None = None
    """Whose it is; None: shared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunUse:
    """What one run holds, in bytes. Files with several names count once."""

    run: str
    status: str | None
    live: bool
    checkpoints: int
    merged: int
    rest: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.checkpoints + self.merged + self.rest


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheUse:
    """What runs share: an import, an environment, anything else in the cache."""

    kind: str
    name: str
    bytes: int


def disk_use(
    path: Path, seen: set[tuple[int, int]] | None = None, unread: list[Path] | None = None
) -> int:
    """Bytes on disk below *path*, what is in *seen* (device, inode) left out and put in.

    Folders that this user may not look into go to *unread*: what they hold is not known.
    """
    seen = set() if seen is None else seen
    total = 0
    for status in _below(path, [] if unread is None else unread):
        key = (status.st_dev, status.st_ino)
        if key not in seen:
            seen.add(key)
            total += status.st_blocks * 512
    return total


def _below(path: Path, unread: list[Path]) -> Iterator[os.stat_result]:
    """The files and folders of a tree; what vanishes meanwhile is left out."""
    try:
        yield path.lstat()
        if path.is_symlink() or not path.is_dir():
            return
        with os.scandir(path) as entries:
            children = [Path(entry.path) for entry in entries]
    except PermissionError:
        unread.append(path)
        return
    except OSError:
        return
    for child in children:
        yield from _below(child, unread)


def runs_use(root: Path, unread: list[Path] | None = None) -> list[RunUse]:
    """Each run of *root*, the largest first. Raises RunnerError."""
    found = [_run_use(run, unread) for run in iter_runs(root)]
    return sorted(found, key=lambda each: each.total, reverse=True)


def _run_use(run: RunDir, unread: list[Path] | None) -> RunUse:
    seen: set[tuple[int, int]] = set()
    checkpoints = disk_use(run.checkpoints, seen, unread)
    merged = disk_use(run.export / MERGED, seen, unread)
    status = read_status_word(run)
    return RunUse(
        run=run.root.name,
        status=status.value if status else None,
        live=is_live(run),
        checkpoints=checkpoints,
        merged=merged,
        rest=disk_use(run.root, seen, unread),
    )


def cache_use(cache: Path, unread: list[Path] | None = None) -> list[CacheUse]:
    """What lies in the cache, the largest first."""
    found = [
        CacheUse(kind=folder.name, name=entry.name, bytes=disk_use(entry, unread=unread))
        for folder in _folders(cache)
        for entry in _folders(folder)
    ]
    return sorted(found, key=lambda each: each.bytes, reverse=True)


def is_live(run: RunDir) -> bool:
    """It trains, waits its turn, or is so young that it says nothing yet."""
    status = read_status_word(run)
    if status is None:  # its launch may have died before there was a keeper
        return someone_lives(run) or _is_young(run)
    return not status.final or someone_lives(run)


def _is_young(run: RunDir) -> bool:
    try:
        return time.time() - run.root.stat().st_mtime < YOUNG_S
    except OSError:
        return True


def freeable(root: Path, cache: Path, runs: list[RunDir] | None = None) -> list[Item]:
    """Everything that may go; *runs* bounds it to what these hold alone. Raises RunnerError."""
    if runs is not None:
        return [item for run in runs for item in _of_run(run)]
    items: list[Item] = []
    for run in iter_runs(root):
        with contextlib.suppress(OSError):  # not ours to read: it frees nothing, `du` names it
            items += list(_of_run(run))
    return [*items, *_of_cache(root, cache)]


def _of_run(run: RunDir) -> Iterator[Item]:
    if is_foreign(run) or is_live(run):
        return
    merged = run.export / MERGED
    if merged.is_dir() and not merged.is_symlink() and _can_be_merged_again(run):
        yield Item(kind=Kind.MERGED, path=merged, bytes=disk_use(merged), run=run.root.name)
    for kind, folder in ((Kind.MERGED, run.export), (Kind.CHECKPOINT, run.checkpoints)):
        for left in _folders(folder):  # by a save, a merge or a deletion that was killed
            if left.name.startswith("."):
                yield Item(kind=kind, path=left, bytes=disk_use(left), run=run.root.name)
    needed = needed_checkpoints(run)
    checkpoints = Checkpoints(run.checkpoints, run.work)
    for iteration in checkpoints.published():
        path = checkpoints.path(iteration)
        if iteration not in needed and not path.is_symlink():  # somebody keeps it elsewhere
            yield Item(kind=Kind.CHECKPOINT, path=path, bytes=disk_use(path), run=run.root.name)


def _can_be_merged_again(run: RunDir) -> bool:
    """Its adapter is there in another place: nothing is lost with the merged model but time."""
    return bool(Checkpoints(run.checkpoints, run.work).published())


def needed_checkpoints(run: RunDir) -> set[int]:
    """Iterations that stay: the tracker's, a merge's, the newest to be read or gone on from."""
    checkpoints = Checkpoints(run.checkpoints, run.work)
    named = {checkpoints.latest(), newest_whole(run), newest_whole(run, unresumable)}
    try:
        words = (run.work / KEEP_FILE).read_text(encoding="ascii").split()
    except (OSError, ValueError):
        words = []
    named |= {int(word) for word in words if word.isdigit()}
    if read_status_word(run) is not Status.FINISHED:
        named |= set(checkpoints.published()[-1:])
    return {each for each in named if each is not None}


def _of_cache(root: Path, cache: Path) -> Iterator[Item]:
    """What runs share goes only while none lives or waits: the next stage may need it.

    Runs of other roots that use the same cache count as well.
    """
    if lives_on(root, cache) is not None:
        return
    for kind, name in ((Kind.IMPORT, IMPORTS), (Kind.ENVIRONMENT, ENVIRONMENTS)):
        for entry in _folders(cache / name):
            yield Item(kind=kind, path=entry, bytes=disk_use(entry))


def lives_on(root: Path, cache: Path) -> RunDir | None:
    """A run, of *root* or of another that uses *cache*, for which all that is shared must stay."""
    for each in (root, *known_roots(cache)):
        for run in iter_runs(each):
            if is_live(run) and not is_foreign(run):
                return run
    return None


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(each for each in path.iterdir() if each.is_dir() and not each.is_symlink())
    except OSError:
        return []


def check_runs(runs: list[RunDir]) -> None:
    """Raise RunnerError for a run of which nothing may be freed."""
    for run in runs:
        if is_foreign(run):
            raise RunnerError(
                f"{run.root.name} was started elsewhere: its checkpoints are not lanewatch's"
            )
        if is_live(run):
            raise RunnerError(f"{run.root.name} lives or waits: nothing of it is pruned")
