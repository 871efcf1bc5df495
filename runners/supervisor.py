"""`lanewatch service run`: look over the runs again and again, and bring back what has died.

The rule: it is the last resort. Keeper and watcher revive each other within seconds; it acts on a
run of which neither lives, or one of them has been missing for two looks, and a few times at most.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from monitor import locks
from monitor.events import append_event
from monitor.model import FINAL, Status
from monitor.probes.clock import read_now
from monitor.rundir import RunDir
from monitor.watch_state import read_watch
from runners.attach.foreign import ensure_watched, is_foreign
from runners.errors import RunnerError
from runners.requests import Action, put_request
from runners.reviving import ensure_keeper
from runners.runs import iter_runs, read_status_word

if TYPE_CHECKING:
    from runners.keeper_alerts import KeeperAlerts

logger = logging.getLogger(__name__)

MOST_DEEDS = 3
WITHIN_S = 600.0
"""As keeper and watcher: three times in ten minutes, then the next ten."""
REFUSALS = 2
"""So often it may not work to bring a run's watcher back, before somebody is woken."""


@dataclass(slots=True)
class _Seen:
    """What is remembered of one run that is not over."""

    missing: str | None = None
    """Who was missing at the last look."""
    deeds: list[float] = field(default_factory=list)
    refused: str | None = None
    refusals: int = 0
    alerts: KeeperAlerts | None = None
    """From when nobody watched the run and the service could not help it."""


class Supervisor:
    """Looks over the runs of one root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.problem: str | None = None
        """Why the runs cannot be listed; told once as long as it is the same."""
        self._seen: dict[str, _Seen] = {}
        self._over: dict[str, int] = {}
        self._stopping = threading.Event()

    def run(self, every_s: float) -> None:
        """Look, until a signal ends it."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        while not self._stopping.is_set():
            self.look()
            self._stopping.wait(every_s)

    def look(self) -> list[str]:
        """Look once; returns what was done, a sentence each."""
        done = []
        try:
            runs = list(iter_runs(self._root))
        except RunnerError as error:
            if str(error) != self.problem:
                logger.warning("%s", error)
            self.problem = str(error)
            return []
        self.problem = None
        for run in runs:
            if deed := self._look_at(run):
                logger.info("%s: %s", run.root.name, deed)
                done.append(f"{run.root.name}: {deed}")
        return done

    def _look_at(self, run: RunDir) -> str | None:
        """One run that cannot be read must not cost the others their help."""
        try:
            return None if self._is_over(run) else self._see_to(run)
        except OSError as error:
            seen = self._seen.setdefault(run.root.name, _Seen())
            return self._refused(seen, error)

    def _is_over(self, run: RunDir) -> bool:
        """Cheap for the many runs that ended long ago: their state.json is read once."""
        try:
            changed = run.state.stat().st_mtime_ns
        except OSError:
            changed = 0
        if changed and self._over.get(run.root.name) == changed:
            return True
        status = read_status_word(run)
        if status is not None and status.final:
            self._over[run.root.name] = changed
            self._seen.pop(run.root.name, None)
            return True
        return False

    def _see_to(self, run: RunDir) -> str | None:
        foreign = is_foreign(run)
        if not foreign and not run.state.exists():
            return None  # it is just being launched, or never was
        missing = _foreign_missing(run) if foreign else _missing(run)
        seen = self._seen.setdefault(run.root.name, _Seen())
        before, seen.missing = seen.missing, missing
        self._tell(run, seen)
        if missing is None or (missing != "both" and before != missing):
            return None
        now = time.monotonic()
        seen.deeds = [at for at in seen.deeds if now - at < WITHIN_S]
        if len(seen.deeds) >= MOST_DEEDS:
            return None
        seen.deeds.append(now)
        try:
            deed = _revive_foreign(run) if foreign else _revive(run, missing)
        except (RunnerError, OSError) as error:
            return self._refused(seen, error)
        seen.refused, seen.refusals = None, 0
        append_event(run.events, "action", f"the service: {deed}", "service", read_now())
        return deed

    def _tell(self, run: RunDir, seen: _Seen) -> None:
        """Wake somebody where no watcher lives that could, and none can be had."""
        unwatched = seen.missing in ("watcher", "both")
        lost = unwatched and (seen.refusals >= REFUSALS or len(seen.deeds) >= MOST_DEEDS)
        if lost and seen.alerts is None:
            from runners.keeper_alerts import KeeperAlerts  # seldom needed

            seen.alerts = KeeperAlerts(run, "service")
        if seen.alerts is not None:
            seen.alerts.tend(watcher_lost=lost)

    def _refused(self, seen: _Seen, error: Exception) -> str | None:
        """The same refusal is told once."""
        seen.refusals += 1
        text = f"could not be brought back: {error}"
        if seen.refused == text:
            return None
        seen.refused = text
        return text


def _missing(run: RunDir) -> str | None:
    """Who does not hold their lock: keeper, watcher or both. What cannot be seen is not missing."""
    keeper = locks.is_held(run.keeper_lock) is False
    if read_status_word(run) is Status.QUEUED:
        return "both" if keeper else None  # it has no watcher before its turn
    watcher = locks.is_held(run.watcher_lock) is False
    if keeper and watcher:
        return "both"
    return "keeper" if keeper else "watcher" if watcher else None


def _revive(run: RunDir, missing: str) -> str:
    if missing == "watcher":
        put_request(run, Action.WATCH)
        return "the keeper was asked to bring the watcher back"
    if not ensure_keeper(run):
        return "a keeper is there again"
    return "a new keeper was started"


def _foreign_missing(run: RunDir) -> str | None:
    """A foreign run has a watcher and its guard, until the watcher has seen the end."""
    missing = [
        name
        for name, lock in (("watcher", run.watcher_lock), ("guard", run.guard_lock))
        if locks.is_held(lock) is False
    ]
    word = read_watch(run.watch).value
    if not missing or (word is not None and word.recorded in FINAL):
        return None
    return "both" if len(missing) == 2 else missing[0]


def _revive_foreign(run: RunDir) -> str:
    started = ensure_watched(run)
    return f"a new {' and a new '.join(started)} was started" if started else "all is there again"
