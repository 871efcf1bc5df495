"""What every engine must be able to do. The keeper knows nothing else of where a stage runs.

The one rule: a stage outlives whoever started it. So an engine can find a stage again from what
is written on the stage itself (its environment, its labels), never only from a file of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from monitor.model import ProcessId


class Gpu(StrEnum):
    """Whether a stage gets the GPU."""

    NONE = "none"
    IF_THERE = "if-there"
    """Where the engine can hand one out; the trainer finds out by itself."""
    REQUIRED = "required"


class Access(StrEnum):
    """What a stage may do in a folder that runs share."""

    NONE = "none"
    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What a stage needs of its container. Every path is mounted at its own place of this host."""

    image: str | None
    """A name, or the id that was recorded; None: nobody has named one."""
    read_only: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    read_whole: tuple[Path, ...] = ()
    """Those of `read_only` that lie in no folder of ours and are read file by file: the base."""
    gpu: Gpu = Gpu.NONE
    gpu_id: str | None = None
    """Which GPU, by its number; None: the engine chooses one."""
    network: bool = False
    shm_bytes: int = 8 << 30
    stop_timeout_s: int = 900
    """From SIGTERM to SIGKILL where the engine itself is stopped: a save must fit."""


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
    container: Container | None = None
    """None: a plain process of this host, whatever the engine."""
    secrets: tuple[str, ...] = ()
    """Variables with a secret that this stage, on the host, may inherit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """A stage that was started."""

    process: ProcessId
    container_id: str | None = None
    child: bool = False
    """True while the keeper that asks is its parent, so that its exit status can be had."""
    image: str | None = None
    """Id of the image that the container was made from."""
    notes: tuple[str, ...] = ()
    """What whoever watches the run should know of the way it was started."""

    def to_json(self) -> dict[str, Any]:
        """What state.json keeps of it."""
        return {
            "pid": self.process.pid,
            "start_ticks": self.process.start_ticks,
            "boot_id": self.process.boot_id,
            "container_id": self.container_id,
            "image": self.image,
        }

    @classmethod
    def from_json(cls, value: object) -> Handle | None:
        """Read it back; None for anything that is not one."""
        if not isinstance(value, dict):
            return None
        pid, ticks, boot_id = (value.get(key) for key in ("pid", "start_ticks", "boot_id"))
        if not isinstance(pid, int) or not isinstance(ticks, int) or not isinstance(boot_id, str):
            return None
        container, image = value.get("container_id"), value.get("image")
        return cls(
            process=ProcessId(pid=pid, start_ticks=ticks, boot_id=boot_id),
            container_id=container if isinstance(container, str) else None,
            image=image if isinstance(image, str) else None,
        )


@dataclass(frozen=True, slots=True)
class Exit:
    """How a stage ended. Both None: it is gone, but nobody saw how."""

    code: int | None = None
    signal: int | None = None
    oom_killed: bool = False
    """The kernel killed a process of its container for want of memory: not always this one."""
    note: str | None = None
    """What its engine has to say to it."""

    @property
    def known(self) -> bool:
        """False where the one who could have waited for it had died."""
        return self.code is not None or self.signal is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a launch needs of an engine, known before there is a run."""

    lane: str
    modules: tuple[str, ...]
    """What the trainer's Python must be able to import."""
    extra: str
    """The extra of this package that brings them."""
    python: str
    """Of this host."""
    image: str | None = None
    pull: bool = True
    """A missing image may be pulled."""
    trackers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Modules, any of which is enough, by the tracker that the recipe reports to."""


class Engine(Protocol):
    """Starts, finds, ends and buries stages."""

    name: str

    def check(self, need: Need) -> None:
        """Raise EngineError if no stage could be started here."""

    def check_requests(self, requests: Sequence[StageRequest]) -> None:
        """Raise EngineError where one of them could not be started, or must not be.

        Something else may go by a name that it needs, or it may ask for what no stage is given.
        """

    def start(self, request: StageRequest) -> Handle:
        """Start the stage. Raises EngineError; then nothing of it is left behind."""

    def find(self, request: StageRequest) -> Handle | None:
        """Return the stage of this run, stage and attempt: living, or ended and not yet buried.

        Raises EngineError where that cannot be asked now.
        """

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
