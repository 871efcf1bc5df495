"""Turn what the watcher sees into events: each change once, none lost to a full disk.

A verdict becomes an event when it has held: trouble for two looks, `lost` for three, an ending at
once. `saving` is a part of training and no event; the finished checkpoint is one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.edges import TROUBLE, looks_needed
from monitor.events import append_event, read_events
from monitor.model import FINAL, Checkpoint, CheckpointReading, Liveness, Verdict
from monitor.probes.clock import Now
from monitor.probes.numbers import finite
from monitor.target import WatchTarget
from monitor.words import duration, gibibytes

LOOKS_OF_SOURCE = 3
"""A file that is being replaced may be unreadable for one look."""
PENDING_LIMIT = 1000
TAIL_EVENTS = 1000
SOURCE = "watcher"


@dataclass(frozen=True, slots=True)
class _Pending:
    kind: str
    text: str
    now: Now
    fields: dict[str, Any] = field(default_factory=dict)


class Recorder:
    """Writes one run's events. What cannot be written waits and is tried again each tick."""

    def __init__(
        self, path: Path, recorded: Liveness | None = None, recorded_wall: float | None = None
    ) -> None:
        self._path = path
        self._pending: deque[_Pending] = deque(maxlen=PENDING_LIMIT)
        self._announced = _announced_checkpoints(path)
        self.recorded = recorded
        """The verdict that was last recorded."""
        self.recorded_wall = recorded_wall
        self.failures = 0
        self.problem: str | None = None
        self._candidate: tuple[Liveness, int] | None = None
        self._seen: tuple[str | None, int, str | None] | None = None
        self._sources: dict[str, int] = {}
        self._unreadable: set[str] = set()

    @property
    def settled(self) -> bool:
        """Nothing waits to be written."""
        return not self._pending

    def say(self, kind: str, text: str, now: Now, **fields: Any) -> None:
        """Record one event, now or as soon as the disk takes it."""
        self._pending.append(_Pending(kind, text, now, fields))
        self.flush()

    def flush(self) -> None:
        """Write what waits, in order."""
        while self._pending:
            each = self._pending[0]
            problem = append_event(
                self._path, each.kind, each.text, SOURCE, each.now, **each.fields
            )
            self.problem = problem
            if problem is not None:
                self.failures += 1
                return
            self._pending.popleft()

    def note_verdict(self, verdict: Verdict, now: Now) -> None:
        """Record a change of verdict once it has held."""
        liveness = verdict.liveness
        if liveness is self.recorded or liveness is Liveness.SAVING:
            self._candidate = None
            return
        looks = self._candidate[1] + 1 if self._candidate and self._candidate[0] is liveness else 1
        self._candidate = (liveness, looks)
        if looks < looks_needed(liveness):
            return
        self._candidate = None
        was, since = self.recorded, self.recorded_wall
        self.recorded, self.recorded_wall = liveness, now.wall_s
        text, fields = verdict.reason, {"verdict": str(liveness), "iteration": verdict.iteration}
        if was is not None:
            fields["previous"] = str(was)
        if was in TROUBLE and liveness not in TROUBLE | FINAL:
            spell = "" if since is None else f" for {duration(now.wall_s - since)}"
            text = f"recovered, it was {was}{spell}: {text}"
            fields["recovered"] = True
        self.say("verdict", f"{liveness}: {text}", now, **fields)

    def note_target(self, target: WatchTarget, now: Now) -> None:
        """Record a new attempt, stage or status."""
        status = str(target.status) if target.status else None
        seen = (target.stage, target.attempt, status)
        before, self._seen = self._seen, seen
        if before is None or before == seen:
            return
        fields = {"stage": target.stage, "attempt": target.attempt, "status": status}
        if before[1] != target.attempt:
            self.say("stage", f"attempt {target.attempt} began", now, **fields)
        if before[0] != target.stage and target.stage:
            of = f" ({target.stage_index} of {target.stage_count})" if target.stage_index else ""
            self.say("stage", f"stage {target.stage}{of} began", now, **fields)
        if before[2] != status and status:
            cause = f": {target.cause}" if target.cause else ""
            self.say("stage", f"the run is {status}{cause}", now, **fields)

    def note_checkpoints(self, reading: CheckpointReading | None, now: Now) -> None:
        """Record each checkpoint once it is whole; one that is saved anew counts again."""
        for each in reading.checkpoints if reading else ():
            if each.complete and _key(each) not in self._announced:
                self._announced.add(_key(each))
                self.say(
                    "checkpoint",
                    f"checkpoint {each.iteration} is whole ({gibibytes(each.size_bytes)})",
                    now,
                    iteration=each.iteration,
                    size_bytes=each.size_bytes,
                    modified_wall=each.modified_wall,
                )

    def note_sources(self, problems: Iterable[str], now: Now) -> None:
        """Record a source that cannot be read for some looks, and when it can be again."""
        present = set(problems)
        for text in present | set(self._sources) | self._unreadable:
            missing = text in present
            if missing == (text in self._unreadable):
                self._sources.pop(text, None)
                continue
            looks = self._sources.get(text, 0) + 1
            self._sources[text] = looks
            if looks < LOOKS_OF_SOURCE:
                continue
            del self._sources[text]
            if missing:
                self._unreadable.add(text)
                self.say("note", f"unreadable: {text}", now)
            else:
                self._unreadable.discard(text)
                self.say("note", f"readable again (was: {text})", now)


def _key(checkpoint: Checkpoint) -> tuple[int, float]:
    return checkpoint.iteration, round(checkpoint.modified_wall, 3)


def _announced_checkpoints(path: Path) -> set[tuple[int, float]]:
    """What earlier watchers recorded: events.jsonl itself is the memory of that."""
    announced = set()
    for event in read_events(path, tail=TAIL_EVENTS):
        iteration, wall = event.fields.get("iteration"), event.fields.get("modified_wall")
        if event.kind == "checkpoint" and isinstance(iteration, int):
            announced.add((iteration, round(finite(wall) or 0.0, 3)))
    return announced
