"""What happened to the runs below a root, newest first; read again only where a file has grown.

A run's own reader gets as far back as `OF_ONE` events; over all runs each gives its last `OF_EACH`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from monitor.events import Event, read_events
from monitor.rundir import RunDir

OF_EACH = 50
OF_ONE = 2000
MOST = 5000
"""Of all runs together."""

URGENT, WARNING, INFO = "urgent", "warning", "info"
SEVERITIES = (INFO, WARNING, URGENT)

_URGENT_VERDICTS = frozenset({"stalled", "failed", "lost"})
_WARNING_VERDICTS = frozenset({"log-stuck", "slow", "suspect"})
_WARNING_WORDS = ("unreadable", "cannot", "could not", "died", "was lost", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One event of one run; its text is foreign and not cleaned."""

    run: str
    wall_s: float | None
    kind: str
    severity: str
    text: str
    order: int
    """Its place in the run's file: events of one instant keep their order."""


def severity_of(event: Event) -> str:
    """How much it matters: urgent is what wakes, or what ends badly."""
    if event.kind == "alert":
        about, wakes = event.fields.get("about"), event.fields.get("severity") == "wake"
        if about == "recovered" or (about == "ended" and not wakes):
            return INFO
        return URGENT if wakes else WARNING
    if event.kind == "verdict":
        verdict = str(event.fields.get("verdict"))
        if verdict in _URGENT_VERDICTS:
            return URGENT
        return WARNING if verdict in _WARNING_VERDICTS else INFO
    if event.text.startswith("the run failed") or event.text.startswith("the run is failed"):
        return URGENT
    return WARNING if any(word in event.text for word in _WARNING_WORDS) else INFO


class EventFeed:
    """Reads events of all runs below *root*, or of one. Not thread-safe."""

    def __init__(self, root: Path, run: str | None = None) -> None:
        self._root = root
        self._run = run
        self._stamps: dict[str, tuple[int, int, int]] = {}
        self._known: dict[str, list[Happening]] = {}
        self._sorted: tuple[Happening, ...] = ()

    def read(self) -> tuple[Happening, ...]:
        """Return all that is known, newest first; the same tuple when nothing is new.

        Raises OSError when the root cannot be listed; one that is not there holds nothing.
        """
        names = {self._run} if self._run is not None else self._names()
        changed = bool(self._known.keys() - names)
        for gone in self._known.keys() - names:
            del self._known[gone]
            self._stamps.pop(gone, None)
        for name in names:
            changed = self._read_one(name) or changed
        if changed:
            everything = (each for known in self._known.values() for each in known)
            self._sorted = newest_first(everything)[:MOST]
        return self._sorted

    def _read_one(self, name: str) -> bool:
        path = RunDir(self._root / name).events
        try:
            status = path.stat()
        except OSError:
            return self._known.pop(name, None) is not None
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
        if stamp == self._stamps.get(name) and name in self._known:
            return False
        self._stamps[name] = stamp
        events = read_events(path, tail=OF_EACH if self._run is None else OF_ONE)
        self._known[name] = [_happening(name, at, event) for at, event in enumerate(events)]
        return True

    def _names(self) -> set[str]:
        try:
            with os.scandir(self._root) as entries:
                return {each.name for each in entries if not each.name.startswith(".")}
        except FileNotFoundError:
            return set()


def newest_first(happenings: Iterable[Happening]) -> tuple[Happening, ...]:
    """Sorted by wall clock, which is all that machines and boots share; what has none is last."""
    return tuple(
        sorted(
            happenings, key=lambda each: (each.wall_s or 0.0, each.order, each.run), reverse=True
        )
    )


def _happening(run: str, order: int, event: Event) -> Happening:
    return Happening(
        run=run,
        wall_s=event.wall_s,
        kind=event.kind,
        severity=severity_of(event),
        text=event.text,
        order=order,
    )
