"""Publish finished checkpoints under names that every lane shares.

The rule: an `iter_NNNNNNN` folder appears by a rename of whole, synced content, and the tracker
only ever names a folder that is there and whole, whatever instant the process is killed at.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from .files import exchange, read_object, remove_tree, replace, sync

TRACKER = "latest_checkpointed_iteration.txt"
FOLDER = "iter_{:07d}"
KEEP_FILE = "keep-iterations"
"""In the work folder: iterations, a line each, that something (a merge) is reading now."""


class Checkpoints:
    """The checkpoints folder of one run, for its one writer."""

    def __init__(self, folder: Path, work: Path) -> None:
        self.folder = folder
        self._keep_file = work / KEEP_FILE

    def path(self, iteration: int) -> Path:
        """The folder of the checkpoint of *iteration*, there or not."""
        return self.folder / FOLDER.format(iteration)

    def latest(self) -> int | None:
        """The iteration that the tracker names, or None."""
        try:
            return int((self.folder / TRACKER).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def published(self) -> list[int]:
        """Iterations with a published folder, ascending."""
        return sorted(
            int(name[5:])
            for name in self._names()
            if name.startswith("iter_") and name[5:].isdigit() and len(name) >= 12
        )

    def publish(self, source: Path, iteration: int) -> Path:
        """Publish the finished save in *source* as *iteration* and let the tracker name it.

        Files are hard links (copies across mounts), so nobody may rewrite them in place later.
        Raises OSError; the tracker then names what it named before, still whole.
        """
        if not source.is_dir():
            raise FileNotFoundError(2, "there is no saved checkpoint to publish", str(source))
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        prepared = self.folder / f".{FOLDER.format(iteration)}.tmp"
        remove_tree(prepared)
        try:
            link_tree(source, prepared)
            displaced = self._put_in_place(prepared, iteration)
        except OSError:
            remove_tree(prepared)
            raise
        sync(self.folder)
        replace(self.folder / TRACKER, f"{iteration}\n".encode(), durable=True)
        if displaced is not None:
            remove_tree(displaced)
        return self.path(iteration)

    def rotate(self, keep_last: int) -> list[int]:
        """Delete all but the newest *keep_last* checkpoints (0 keeps all); return those deleted.

        What the tracker names, or `keep-iterations` in the work folder, stays in any case.
        """
        self.sweep()
        if keep_last <= 0:
            return []
        there = self.published()
        kept = {*there[-keep_last:], self.latest(), *self._kept_by_others()}
        gone = [iteration for iteration in there if iteration not in kept]
        for iteration in gone:
            trash = self._to_trash(self.path(iteration))
            if trash is not None:
                remove_tree(trash)
        return gone

    def sweep(self) -> None:
        """Remove what a killed process left half-made or half-deleted."""
        for name in self._names():
            if name.startswith(".trash-") or (name.startswith(".iter_") and name.endswith(".tmp")):
                remove_tree(self.folder / name)

    def _put_in_place(self, prepared: Path, iteration: int) -> Path | None:
        """Rename *prepared* to its final name; return the folder that lay there, moved aside."""
        target = self.path(iteration)
        if not target.exists():
            prepared.rename(target)
            return None
        if exchange(prepared, target):
            return prepared
        if self.latest() == iteration:
            self._point_elsewhere(iteration)
        displaced = self._to_trash(target)
        prepared.rename(target)
        return displaced

    def _point_elsewhere(self, iteration: int) -> None:
        """Where folders cannot be exchanged, the tracker names the one before meanwhile."""
        earlier = [each for each in self.published() if each < iteration]
        if earlier:
            replace(self.folder / TRACKER, f"{earlier[-1]}\n".encode(), durable=True)
        else:
            (self.folder / TRACKER).unlink(missing_ok=True)
            sync(self.folder)

    def _to_trash(self, folder: Path) -> Path | None:
        trash = self.folder / f".trash-{folder.name}-{os.getpid()}"
        remove_tree(trash)
        try:
            return folder.rename(trash)
        except FileNotFoundError:
            return None

    def _kept_by_others(self) -> set[int]:
        try:
            words = self._keep_file.read_text(encoding="ascii").split()
        except (OSError, ValueError):
            return set()
        return {int(word) for word in words if word.isdigit()}

    def _names(self) -> list[str]:
        try:
            return os.listdir(self.folder)  # noqa: PTH208 - names alone; paths would be made for nothing
        except FileNotFoundError:
            return []


def is_whole_trainer_save(folder: Path, iteration: int) -> bool:
    """Tell whether a Hugging Face save in *folder* is finished: its state is written last."""
    state = read_object(folder / "trainer_state.json")
    return state is not None and state.get("global_step") == iteration


def link_tree(source: Path, target: Path) -> None:
    """Make *target* a copy of *source* by hard links, and bring it all to the disk."""
    target.mkdir(mode=0o700)
    with os.scandir(source) as entries:
        for entry in entries:
            copy = target / entry.name
            if entry.is_dir(follow_symlinks=False):
                link_tree(Path(entry.path), copy)
            else:
                _link_file(Path(entry.path), copy)
    sync(target)


def _link_file(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:
        # Another mount, a file system without links, or too many of them.
        with contextlib.suppress(FileNotFoundError):
            target.unlink()
        shutil.copyfile(source, target)
    target.chmod(0o600)
    sync(target)
