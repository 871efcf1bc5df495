"""Limits learnt from the last finished run of the same recipe, lane and box."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from monitor.limits import LimitConfig, seeded
from monitor.memory_seeds import memory_seeds
from monitor.model import History, MachineReading, Status
from monitor.rundir import RunDir
from monitor.target import WatchTarget, read_target
from monitor.watch_state import WatchState, read_watch

MOST_RUNS = 200
"""Folders that are looked into, the newest first."""
SAME_MEMORY = 0.01
"""A box is the same while its MemTotal differs by less: firmware moves it a little."""


GPU_WAIT_S = 10.0
"""The driver's first word takes some seconds; after so many there is no GPU to compare."""


class SeedSearch:
    """Looks for the seeds once: when this box is known, or never where a watcher has before."""

    def __init__(self, found: Mapping[str, float] | None, began_s: float) -> None:
        self.found = found
        """None while they were not looked for."""
        self._began_s = began_s

    def search(self, target: WatchTarget, machine: MachineReading | None, now_s: float) -> None:
        """Look for them when it is time; *now_s* is CLOCK_MONOTONIC, as *began_s* was."""
        known = machine is not None and bool(machine.gpus)
        if self.found is None and (known or now_s - self._began_s >= GPU_WAIT_S):
            self.found = find_seeds(target, machine)

    def limits(self, target: WatchTarget) -> LimitConfig:
        """The limits of *target*, seeded as far as that is known."""
        return seeded(target.limits, self.found)


def find_seeds(target: WatchTarget, machine: MachineReading | None) -> dict[str, float]:
    """Return the longest durations by limit name, or nothing where no such run is found."""
    if target.recipe_hash is None:
        return {}
    for earlier in _newest_first(target):
        watched = read_watch(RunDir(earlier).watch).value
        if watched is not None and _same_box(watched, machine):
            peaks = watched.memory.peaks if watched.memory else None
            return {**seeds_of(watched.history), **memory_seeds(peaks)}
    return {}


def last_history(target: WatchTarget) -> History | None:
    """What the last finished run of the same recipe and lane has shown, on whatever box."""
    if target.recipe_hash is None:
        return None
    for earlier in _newest_first(target):
        watched = read_watch(RunDir(earlier).watch).value
        if watched is not None:
            return watched.history
    return None


def seeds_of(history: History) -> Mapping[str, float]:
    """The largest values of *history* by the name of the limit that they teach."""
    known = {
        "start": history.start_s,
        "first_iteration": history.first_iteration_s,
        "iteration": history.step_max_s,
        "first_save": history.first_save_s,
        "save": history.save_max_s,
        "eval": history.eval_max_s,
    }
    return {name: value for name, value in known.items() if value is not None and value > 0}


def _newest_first(target: WatchTarget) -> Iterator[Path]:
    here = target.run_dir.root
    try:
        folders = sorted(
            (each for each in here.parent.iterdir() if each.name != here.name),
            key=lambda each: each.stat().st_mtime,
            reverse=True,
        )
    except OSError:
        return
    found: list[tuple[float, Path]] = []
    for folder in folders[:MOST_RUNS]:
        other = read_target(folder)
        same = other.recipe_hash == target.recipe_hash and other.lane == target.lane
        if same and other.status is Status.FINISHED and other.kind == target.kind:
            found.append((other.created_wall or 0.0, folder))
    yield from (folder for _, folder in sorted(found, reverse=True))


def _same_box(watched: WatchState, machine: MachineReading | None) -> bool:
    there = watched.machine
    if there is None or machine is None or there.memory is None or machine.memory is None:
        return False
    before, now = there.memory.total_bytes, machine.memory.total_bytes
    names = [gpu.name for gpu in there.gpus] == [gpu.name for gpu in machine.gpus]
    return names and abs(before - now) <= SAME_MEMORY * now
