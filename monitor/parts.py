"""What a watcher does with each look beyond judging and recording it: alerts, the memory guard.

The rule: a part is given frozen values, keeps nothing that it cannot write as JSON, and may fail
alone. It must return at once: what waits (a network, a driver) belongs on a thread or in a child.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from monitor.alert_part import AlertPart
from monitor.deadman import DeadmanPart
from monitor.limits import LimitConfig
from monitor.memory_guard import MemoryGuard
from monitor.memory_model import MemoryVerdict
from monitor.model import Observation, Verdict
from monitor.probes.clock import Now
from monitor.rundir import RunDir
from monitor.stall import StallPart
from monitor.target import WatchTarget
from monitor.watch_state import WatchState


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One look, judged."""

    target: WatchTarget
    observation: Observation
    verdict: Verdict
    word: WatchState
    """What watch.json will say of this look."""
    limits: LimitConfig
    now: Now
    keeper_lost: str | None = None
    """Why the run has no keeper and gets none."""
    memory: MemoryVerdict | None = None
    """None where the machine's memory cannot be read."""


class Say(Protocol):
    """Records an event, now or as soon as the disk takes it (`Recorder.say`)."""

    def __call__(self, kind: str, text: str, now: Now, **fields: Any) -> None: ...


class Part(Protocol):
    """One thing that a watcher does with every look."""

    name: str
    """Its key in watch.json's `parts` and `failures`."""

    def tick(self, tick: Tick) -> None:
        """Take one look into account. May raise: it is counted, and called again next time."""

    def remembered(self) -> object:
        """What the part of the next watcher must know, as plain JSON; None for nothing."""

    def close(self) -> None:
        """The watch ends."""


MakePart = Callable[[RunDir, Say, object], Part]
"""Makes a part from the run, the recorder and what the part before it remembered."""

PARTS: tuple[MakePart, ...] = (MemoryGuard, AlertPart, DeadmanPart, StallPart)
"""In the order in which they see a look."""


def make_parts(run_dir: RunDir, say: Say, remembered: Mapping[str, Any]) -> list[Part]:
    """Make every part; what an earlier one remembered is looked up by its name."""
    return [make(run_dir, say, remembered.get(_name_of(make))) for make in PARTS]


def _name_of(make: MakePart) -> str:
    return str(getattr(make, "name", ""))
