"""stall.json: the watcher's word to the keeper that the run has stalled for certain.

Only where the recipe says `on_failure = "resume-once"`. The rule: the watcher says, the keeper
acts; the word is of one attempt, and is taken back when the run advances after all.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from monitor.files import read_json, write_json
from monitor.model import Liveness, Stage
from monitor.probes.text import clean_line
from monitor.rundir import SCHEMA, RunDir

if TYPE_CHECKING:
    from monitor.parts import Say, Tick

LOOKS = 10
"""So many looks in a row must find it stalled, past the limit that the verdict waits for."""


def read_stall(run: RunDir, attempt: int) -> str | None:
    """Why *attempt* has stalled, if the watcher says so."""
    value = read_json(run.stall).value or {}
    reason = value.get("reason")
    return reason if value.get("attempt") == attempt and isinstance(reason, str) else None


def clear_stall(run: RunDir) -> None:
    """The word was acted on, or is no longer true."""
    with suppress(OSError):
        run.stall.unlink(missing_ok=True)


class StallPart:
    """See `monitor.parts.Part`."""

    name = "stall"

    def __init__(self, run_dir: RunDir, say: Say, remembered: object) -> None:  # noqa: ARG002 - every part is made alike
        self._dir, self._say = run_dir, say
        self._looks = 0
        self._told: int | None = None

    def tick(self, tick: Tick) -> None:
        """Count looks; tell the keeper once an attempt."""
        target = tick.target
        if target.on_failure != "resume-once" or target.resumed_by_itself:
            return
        if tick.verdict.liveness is not Liveness.STALLED or target.stage != Stage.TRAIN:
            self._take_back()
            return
        self._looks += 1
        checkpoints = tick.observation.checkpoints
        if self._looks < LOOKS or self._told == target.attempt or checkpoints is None:
            return
        if checkpoints.last_complete is None:
            return  # nothing to go on from: that is for a person to decide
        self._told = target.attempt
        content = {
            "schema": SCHEMA,
            "attempt": target.attempt,
            "reason": clean_line(tick.verdict.reason),
            "wall_s": tick.now.wall_s,
        }
        write_json(self._dir.stall, content, durable=False)
        self._say("action", "the stall is certain: the keeper was asked to resume it", tick.now)

    def _take_back(self) -> None:
        self._looks = 0
        if self._told is not None:
            self._told = None
            clear_stall(self._dir)

    def remembered(self) -> object:
        """Nothing: the next watcher counts anew."""
        return None

    def close(self) -> None:
        """Nothing is held."""
