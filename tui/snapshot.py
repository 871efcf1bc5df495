"""All that the screens show, as one frozen value a tick.

The sampler makes a `Snapshot`, the app hands it to the screen in front, and each widget repaints
what differs from what it last drew. Nothing here reads a clock or a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.events import Event
    from monitor.metrics import Save
    from monitor.model import MachineReading
    from monitor.status_model import RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The machine at one past instant, for the history graphs. None: not known then."""

    wall_s: float
    memory_bytes: float | None = None
    gpu_percent: float | None = None
    power_w: float | None = None
    clock_mhz: float | None = None
    temperature_c: float | None = None
    cpu_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail:
    """What one run's screen shows beyond its status."""

    run: str
    losses: tuple[tuple[int, float], ...] = ()
    """(iteration, loss), ascending; the highest attempt of an iteration. Of a long run, means."""
    lrs: tuple[tuple[int, float], ...] = ()
    grad_norms: tuple[tuple[int, float], ...] = ()
    step_times: tuple[tuple[int, float], ...] = ()
    """(iteration, seconds)"""
    history: tuple[Point, ...] = ()
    """The whole run, ascending by wall_s; of a long one, means."""
    recent: tuple[Point, ...] = ()
    """Its last quarter of an hour, finer."""
    saves: tuple[Save, ...] = ()
    """What each save cost, by iteration; also of checkpoints that are deleted again."""
    save_interval: int | None = None
    keep_last: int | None = None
    """Checkpoints that the trainer keeps; None: all."""
    events: tuple[Event, ...] = ()
    """The last ones, oldest first."""
    recipe: tuple[tuple[str, str], ...] = ()
    """(name, value) of what was asked for and with what; a name without value is a heading."""
    remedy: str | None = None
    """What a diagnosis of this attempt advises first."""
    log_name: str | None = None
    log_lines: tuple[str, ...] = ()
    """The last lines only; control sequences are neutralised."""
    log_first: int = 0
    """The number of the first of them, counted from when the run was opened."""
    problem: str | None = None
    """Why a part of this could not be read."""
    projection: tuple[str, ...] = ()
    """Of a run that is over: what it projects, or how right its smoke run was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that is shown, at one instant."""

    taken_wall: float
    root: str = ""
    runs: tuple[RunStatus, ...] = ()
    """In the order of the board: live first, newest first."""
    machine: MachineReading | None = None
    memory_limit_bytes: int | None = None
    memory_level: str = "ok"
    """The worst that a live run's watcher says of the machine's memory."""
    detail: RunDetail | None = None
    scanned: bool = True
    """False while the first look at the root is still under way."""

    def status_of(self, run: str) -> RunStatus | None:
        """The status of the run with this id; None when its folder is not there."""
        return next((each for each in self.runs if each.run == run), None)
