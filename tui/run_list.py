"""All runs below a root, read again only as far as they can have changed.

A live run is read at every tick. One that is over, or that cannot be made out and has nobody who
looks after it, is read again when the time stamps of its run.json or state.json moved. Those of one
that is over are looked at every few seconds, so that a thousand finished runs cost a folder listing
a second; the others at every tick, for a run that is being launched cannot be made out either.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tui.state import board_order, is_over

if TYPE_CHECKING:
    from monitor.probes.clock import Now
    from monitor.status_model import RunStatus

RECHECK_S = 10.0
HANDED_OVER_S = 3.0
"""Between two stages a run is lost for a second, until its keeper has acted: no news so long."""
PART = 100
"""Runs read before the first sign of progress in a long first look."""
PART_S = 0.5
"""Between two further ones: each is drawn, by the time that the reading needs too."""

Stamp = tuple[int | None, int | None]
ReadStatus = Callable[[Path, "Now"], "RunStatus"]


@dataclass(slots=True)
class _Known:
    status: RunStatus
    stamp: Stamp
    checked_s: float
    lost_s: float | None = None
    """Since when it is lost although somebody looks after it."""


class RunList:
    """Reads the runs of *root* with *read_status*, which must not raise for a strange folder."""

    def __init__(self, root: Path, read_status: ReadStatus) -> None:
        self._root = root
        self._read_status = read_status
        self._known: dict[str, _Known] = {}
        self._sorted: tuple[RunStatus, ...] = ()

    def read(
        self, now: Now, on_part: Callable[[tuple[RunStatus, ...]], None]
    ) -> tuple[RunStatus, ...]:
        """Return the runs in the order of the board; the same tuple when nothing changed.

        *on_part* gets what is known so far while a long first look is under way.
        """
        names = self._names()
        changed = False
        for gone in self._known.keys() - names:
            del self._known[gone]
            changed = True
        for name, known in self._known.items():
            status = known.status
            self._look_again(name, known, now)
            changed = changed or known.status is not status
        # An id ends in its date and time: the newest runs are read, and shown, first.
        fresh = sorted(names - self._known.keys(), key=lambda each: each[-20:], reverse=True)
        told_s: float | None = None
        for number, name in enumerate(fresh, 1):
            self._known[name] = self._first_look(name, now)
            changed = True
            if number % PART == 0 and (told_s is None or time.monotonic() - told_s >= PART_S):
                on_part(self._in_order())
                told_s = time.monotonic()
        if changed:
            self._sorted = self._in_order()
        return self._sorted

    def _first_look(self, name: str, now: Now) -> _Known:
        folder = self._root / name
        stamp = _stamp(folder)
        status = self._read_status(folder, now)
        return _Known(status=status, stamp=stamp, checked_s=now.monotonic_s)

    def _look_again(self, name: str, known: _Known, now: Now) -> None:
        over, lost = is_over(known.status), _is_left_alone(known.status)
        early = now.monotonic_s - known.checked_s < RECHECK_S
        if over and early:
            return
        folder = self._root / name
        stamp = _stamp(folder)
        if stamp == known.stamp and (over or (lost and early)):
            if over:
                known.checked_s = now.monotonic_s
            return
        known.checked_s, known.stamp = now.monotonic_s, stamp
        found = _since_first(self._read_status(folder, now), known.status)
        if not (found.verdict == "lost" and found.watcher.alive and found.keeper.alive):
            known.lost_s = None
        elif known.lost_s is None:
            known.lost_s = now.monotonic_s
        if known.lost_s is None or now.monotonic_s - known.lost_s >= HANDED_OVER_S:
            known.status = found

    def _in_order(self) -> tuple[RunStatus, ...]:
        return tuple(sorted((known.status for known in self._known.values()), key=board_order))

    def _names(self) -> set[str]:
        """The folders that may be runs; a root that is not there yet has none."""
        try:
            with os.scandir(self._root) as entries:
                return {
                    entry.name
                    for entry in entries
                    if not entry.name.startswith(".") and entry.is_dir()
                }
        except FileNotFoundError:
            return set()


def _since_first(found: RunStatus, before: RunStatus) -> RunStatus:
    """Where no watcher keeps it, what our own looks find is true since the first of them."""
    since_s = before.since_wall
    if found.watcher.alive or found.verdict != before.verdict or since_s is None:
        return found
    return replace(found, since_wall=min(since_s, found.since_wall or since_s))


def _is_left_alone(status: RunStatus) -> bool:
    """Lost for good, as far as anybody can tell."""
    return status.verdict == "lost" and not (status.watcher.alive or status.keeper.alive)


def _stamp(folder: Path) -> Stamp:
    return _changed(f"{folder}/run.json"), _changed(f"{folder}/state.json")


def _changed(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - a hot path over a thousand runs
    except OSError:
        return None
