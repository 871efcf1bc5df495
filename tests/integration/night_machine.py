"""What a machine shows while a simulated trainer works, and while it hangs."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from night_plan import Fault, Gpu, Moment, Night

from monitor.model import PipeReading


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What the machine shows."""

    cpu: float
    percent: int
    watts: float
    state: str = "S"
    wchan: str | None = None
    written: float = 0.0
    clock_mhz: int = 2281
    throttle: tuple[str, ...] = ()
    available_gib: float = 72.0
    swapped_gib: float = 0.0
    pressure: float = 0.0
    zombies: tuple[str, ...] = ()
    pipe: PipeReading | None = None
    gpu_lost: bool = False


def working(night: Night, moment: Moment, draw: random.Random) -> Activity:
    """A trainer that does what its phase says."""
    gpu, phase = night.gpu or Gpu(), moment.phase
    idle = gpu.idle_w + draw.gauss(0, 0.5)
    if phase in ("", "loading"):
        return Activity(cpu=0.9, percent=0, watts=idle, state="R")
    if phase == "first_iteration":
        return Activity(cpu=1.0, percent=20, watts=idle + 6, state="R")
    if phase in ("saving", "stopping"):
        return Activity(cpu=0.8, percent=0, watts=idle + 2, state="D", written=30e6)
    busy = gpu.busy_w + max(-20.0, min(20.0, draw.gauss(0, gpu.spread_w)))
    if _is_slowed(night, moment):
        busy = (night.slower_watts or busy) + draw.gauss(0, 1.5)
    if phase == "evaluating":
        busy *= 0.85
    clock = _clock(night, moment)
    return Activity(cpu=1.1, percent=gpu.busy_percent, watts=busy, state="R", clock_mhz=clock)


def _is_slowed(night: Night, moment: Moment) -> bool:
    """Its GPU is in a slow power state."""
    begun = night.slower_from is not None and moment.done >= night.slower_from
    return begun and night.slower_watts is not None


def _clock(night: Night, moment: Moment) -> int:
    """A slow power state shows in the clock (measured on a GB10), whatever the trainer does."""
    return 799 if _is_slowed(night, moment) else 2281


ENDINGS = frozenset({"crash"})
"""Faults that end the process."""


def broken(fault: Fault, night: Night, moment: Moment, draw: random.Random) -> Activity:
    """A trainer that hangs at *moment*, in the way that the fault names."""
    gpu = night.gpu or Gpu()
    idle = gpu.idle_w + draw.gauss(0, 0.3)
    still = Activity(cpu=0.002, percent=0, watts=idle, clock_mhz=_clock(night, moment))
    if fault.name == "crash":
        return still
    if fault.name == "spin":
        watts = fault.watts + draw.gauss(0, 0.2)
        return replace(still, cpu=1.0, percent=gpu.busy_percent, watts=watts, state="R")
    if fault.name == "hot-spin":
        watts = gpu.busy_w + draw.gauss(0, gpu.spread_w)
        return replace(still, cpu=1.0, percent=gpu.busy_percent, watts=watts, state="R")
    if fault.name == "cpu-spin":
        return replace(still, cpu=1.0, state="R")
    if fault.name == "stopped":
        return replace(still, cpu=0.0, state="T")
    if fault.name == "blocked-pipe":
        pipe = PipeReading(descriptor=1, writer_blocked=True)
        return replace(still, cpu=0.0, wchan="pipe_write", pipe=pipe)
    if fault.name == "blocked-io":
        return replace(still, cpu=0.0, state="D", wchan="nfs_wait_bit_killable")
    if fault.name == "thrash":
        return replace(
            still, cpu=0.3, percent=5, watts=idle + 3, state="D", written=3e5,
            available_gib=0.4, swapped_gib=15.0, pressure=70.0,
        )  # fmt: skip
    if fault.name == "gpu-lost":
        return replace(still, cpu=1.0, state="R", gpu_lost=True)
    if fault.name == "dead-worker":
        return replace(still, zombies=("pt_save_worker",))
    return still  # deadlock: nobody uses anything
