"""A run's verdict as it stands recorded, for the instant before anything is judged.

The rule: it says what `monitor.seen` would say of the same files, or nothing at all. It loads no
judge and none of their values: those take longer to load than a person takes to read the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from monitor.files import read_json
from monitor.probes.clock import Now
from monitor.probes.numbers import finite, whole
from monitor.rundir import RunDir

FRESH_S = 5.0
"""A younger word of the watcher is believed as it stands."""

ENDS = frozenset({"finished", "failed", "stopped"})
"""The final words of `monitor.model.Status`, and of `Liveness` for the same ends."""
OVER = ENDS | {"ended"}
LIVE = frozenset({"starting", "running", "stopping", None})
"""What the keeper says of a run that is watched; of a foreign one nobody says anything."""


class EarlyWord(NamedTuple):
    """A verdict, and why."""

    verdict: str
    """A word of `monitor.model.Liveness`."""
    reason: str
    since_wall: float | None
    over: bool
    """The run has ended: *since_wall* is when."""
    read_wall: float
    """When this was read."""


def read_early_word(run_dir: Path, now: Now) -> EarlyWord | None:
    """Return the recorded verdict of the run in *run_dir*; None where it must be judged first.

    Never raises, whatever the files hold.
    """
    paths = RunDir(run_dir)
    state, watch = (read_json(each).value or {} for each in (paths.state, paths.watch))
    verdict = watch.get("verdict")
    if not isinstance(verdict, dict) or whole(watch.get("attempt")) != _attempt(state):
        return None
    word, reason, status = verdict.get("liveness"), verdict.get("reason"), state.get("status")
    if not (isinstance(word, str) and isinstance(reason, str) and _is_word(status)):
        return None
    if status in ENDS:
        ended = finite(state.get("updated_wall"))
        return EarlyWord(word, reason, ended, True, now.wall_s) if word == status else None
    if status not in LIVE or word in OVER or not _is_fresh(watch, now):
        return None
    return EarlyWord(word, reason, finite(watch.get("since_wall")), False, now.wall_s)


def _attempt(state: Mapping[str, Any]) -> int:
    return whole(state.get("attempt")) or 1


def _is_word(status: object) -> bool:
    return status is None or isinstance(status, str)


def _is_fresh(watch: Mapping[str, Any], now: Now) -> bool:
    said_s, tick_s = finite(watch.get("monotonic_s")), finite(watch.get("tick_s"))
    if said_s is None or watch.get("boot_id") != now.boot_id:
        return False
    return now.monotonic_s - said_s < max(FRESH_S, 3 * (tick_s or 0.0))
