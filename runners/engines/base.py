"""What every engine must be able to do. The keeper knows nothing else of where a stage runs.

The one rule: a stage outlives whoever started it. So an engine can find a stage again from what
is written on the stage itself (its environment, its labels), never only from a file of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from monitor.model import ProcessId


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRequest:
    """One stage of one attempt, ready to be started."""

    run: str
    folder: Path
    """The run's own."""
    attempt: int
    stage: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    """Only what the lane adds; the engine decides what else the stage inherits."""
    cwd: Path
    log: Path
    """stdout and stderr point at this file, with no pipe in between."""
    lock: Path
    """Held (shared) from before the first instruction of the stage until its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """A stage that was started."""

    process: ProcessId
    container_id: str | None = None
    child: bool = False
    """True while the keeper that asks is its parent, so that its exit status can be had."""

    def to_json(self) -> dict[str, Any]:
        """What state.json keeps of it."""
        return {
            "pid": self.process.pid,
            "start_ticks": self.process.start_ticks,
            "boot_id": self.process.boot_id,
            "container_id": self.container_id,
        }

    @classmethod
    def from_json(cls, value: object) -> Handle | None:
        """Read it back; None for anything that is not one."""
        if not isinstance(value, dict):
            return None
        pid, ticks, boot_id = (value.get(key) for key in ("pid", "start_ticks", "boot_id"))
        if not isinstance(pid, int) or not isinstance(ticks, int) or not isinstance(boot_id, str):
            return None
        container = value.get("container_id")
        return cls(
            process=ProcessId(pid=pid, start_ticks=ticks, boot_id=boot_id),
            container_id=container if isinstance(container, str) else None,
        )


@dataclass(frozen=True, slots=True)
class Exit:
    """How a stage ended. Both None: it is gone, but nobody saw how."""

    code: int | None = None
    signal: int | None = None

    @property
    def known(self) -> bool:
        """False where the one who could have waited for it had died."""
        return self.code is not None or self.signal is not None


class Engine(Protocol):
    """Starts, finds, ends and buries stages."""

    name: str

    def check(self, python: str) -> None:
        """Raise EngineError if no stage could be started here."""

    def start(self, request: StageRequest) -> Handle:
        """Start the stage. Raises EngineError; then nothing of it is left behind."""

    def find(self, request: StageRequest) -> Handle | None:
        """Return the living stage of this run, stage and attempt, if there is one."""

    def poll(self, handle: Handle) -> Exit | None:
        """Return how it ended, or None while it lives."""

    def ask_to_stop(self, handle: Handle, *, save: bool) -> None:
        """Ask the trainer to end at its next step; with *save*, after a checkpoint."""

    def kill(self, handle: Handle) -> None:
        """End the stage and all it started, now."""

    def bury(self, request: StageRequest) -> None:
        """Clear away what an ended stage left behind: orphans, an exited container."""

    def describe(self, request: StageRequest) -> dict[str, Any]:
        """What `start` would do, for --dry-run."""
