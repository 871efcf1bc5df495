"""A watch that tests drive by hand: one look after another, on a clock of their own."""

from __future__ import annotations

import json
from typing import Any

from monitor.ages import AgeState, advance, ages_of, continued
from monitor.codec import dumps
from monitor.facts import Facts
from monitor.history import history_of
from monitor.limits import STANDARD
from monitor.model import Ages, Checkpoint, CheckpointReading, Heartbeat, History

BOOT = "boot-1"


def beat(at: float, done: int = 0, phase: str = "iteration", **changes: Any) -> Heartbeat:
    values: dict[str, Any] = {
        "attempt": 1,
        "seq": int(at * 1000),
        "pid": 7,
        "boot_id": BOOT,
        "monotonic_s": at,
        "stage": "train",
        "phase": phase,
        "done": done,
    }
    return Heartbeat(**values | changes)


def whole(*iterations: int) -> CheckpointReading:
    found = [
        Checkpoint(iteration=each, complete=True, size_bytes=9, modified_wall=1.0)
        for each in iterations
    ]
    return CheckpointReading(tracker=max(iterations, default=None), checkpoints=tuple(found))


class Watch:
    """Drives `advance` as a watcher would, one tick of a second after another."""

    def __init__(self, at: float = 100.0) -> None:
        self.now = at
        self.state = AgeState()
        self.limits = STANDARD

    def look(self, heartbeat: Heartbeat | None = None, *, boot: str = BOOT, **facts: Any) -> None:
        facts = {"stage": "train", "heartbeat": heartbeat} | facts
        seen = Facts(boot_id=boot, monotonic_s=self.now, **facts)
        self.state = advance(self.state, seen, now=self.now, tick_s=1.0, limits=self.limits)

    def pass_(self, seconds: float, heartbeat: Heartbeat | None = None, **facts: Any) -> None:
        for _ in range(int(seconds)):
            self.now += 1
            self.look(heartbeat, **facts)

    def restart(self) -> None:
        self.state = continued(json.loads(dumps({"marks": self.state}))["marks"])

    @property
    def progress_s(self) -> float | None:
        return ages_of(self.state).progress_s

    @property
    def ages(self) -> Ages:
        return ages_of(self.state)

    @property
    def history(self) -> History:
        return history_of(self.state.learnt)
