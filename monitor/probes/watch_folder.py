"""Be told when something changes in the checkpoints folder.

An event only means "look now": it is never believed for what it says. Events get lost (NFS, a
recreated folder, a full inotify table), so a rescan on a cadence stays the truth.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from monitor.probes.raw import reason

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver, ObservedWatch

_JOIN_S = 2.0
_EVENTS: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
]
"""Not "opened" or "closed without writing": our own reads would wake us for ever."""


class CheckpointWatch(FileSystemEventHandler):
    """Sets *look_now* when the content of *folder* changes. Only this folder, not what is below."""

    def __init__(self, folder: Path, look_now: threading.Event) -> None:
        self._folder = folder
        self._look_now = look_now
        self._observer: BaseObserver | None = None
        self._watch: ObservedWatch | None = None
        self._identity: tuple[int, int] | None = None
        self._gone = False
        self.problem: str | None = None
        """Why there are no events just now; rescans go on without them."""

    def start(self) -> None:
        """Begin; a folder that is not there yet is picked up by a later `rescan`."""
        self.rescan()

    def rescan(self) -> None:
        """Follow the folder where it went: made late, deleted, made again. Cheap: one stat."""
        identity = _identity(self._folder)
        if identity == self._identity and not self._gone:
            return
        self._unschedule()
        if identity is not None:
            self._schedule(identity)
            # What happened before the watch was set left no event.
            self._look_now.set()

    def follow(self, folder: Path) -> None:
        """Look at another folder from now on, if it is another one."""
        if folder != self._folder:
            self._unschedule()
            self._folder = folder

    def stop(self) -> None:
        """End the threads; they are daemons, so one that hangs is left behind."""
        observer, self._observer, self._watch = self._observer, None, None
        self._identity = None
        if observer is not None:
            observer.stop()
            observer.join(_JOIN_S)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called on the observer's thread."""
        if isinstance(event, DirDeletedEvent) and os.fsdecode(event.src_path) == str(self._folder):
            self._gone = True  # a new folder may get the same inode number
        self._look_now.set()

    def _schedule(self, identity: tuple[int, int]) -> None:
        try:
            if self._observer is None:
                observer = Observer()
                observer.start()
                self._observer = observer
            self._gone = False
            self._watch = self._observer.schedule(
                self, str(self._folder), recursive=False, event_filter=_EVENTS, follow_symlink=True
            )
        except (OSError, RuntimeError) as error:
            text = reason(error) if isinstance(error, OSError) else str(error)
            self.problem = f"no change events for {self._folder.name}/ ({text}): only rescans"
            self._watch = None
            return
        self._identity = identity
        self.problem = None

    def _unschedule(self) -> None:
        self._identity = None
        if self._observer is not None and self._watch is not None:
            self._observer.unschedule(self._watch)
        self._watch = None


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if folder.is_dir() else None
