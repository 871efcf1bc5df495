"""What a simulated night is: how the run goes, when, and what goes wrong with it."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

BOOT = "boot"
GIB = 1 << 30
GRAIN_S = 8.0
"""Iterations that are faster than 2 s are told in groups of about so long: under the floor of the
iteration limit (60 s) their single gaps are not to be seen."""
FIGURES_S = 30.0
FAST_S = 12.0
OFTEN_FIGURES_S = 5.0
OFTEN_S = 240.0
"""In the first four minutes of what lasts long, where iterations are faster than 12 s."""
NEAR_S = 4.0
"""So soon before a moment no look is taken for the figures alone."""
HEARTBEAT, LOG, CHECKPOINTS = "heartbeat", "log", "checkpoints"
MODES = (HEARTBEAT, LOG, CHECKPOINTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """What the GPU of the run draws and shows."""

    own: bool = True
    busy_w: float = 45.0
    spread_w: float = 8.0
    idle_w: float = 11.0
    busy_percent: int = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to the trainer at second `at_s`."""

    name: str
    at_s: float
    watts: float = 20.0
    """What a spinning GPU draws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """How a run goes."""

    seed: int
    mode: str = HEARTBEAT
    hours: float = 8.0
    iterations: int | None = None
    step_s: float = 32.4
    jitter: float = 0.05
    save_interval: int = 70
    save_s: float = 5.0
    first_save_factor: float = 1.0
    save_quiet: float = 0.0
    """Share of a save in which its folder does not grow yet: the state is gathered first."""
    first_save_limit_s: float | None = None
    """What the recipe (or `attach --set`) says of it: a first save can outlast the default."""
    eval_interval: int = 0
    eval_s: float = 0.0
    load_s: float = 60.0
    first_iteration_s: float = 45.0
    keep_last: int = 3
    log_every: int = 1
    log_stops_at: int | None = None
    """From this iteration on the log is silent, and training is fine."""
    spikes: tuple[tuple[int, float], ...] = ()
    """(iteration, factor): one iteration takes so many times as long."""
    slower_from: int | None = None
    slower: float = 1.0
    slower_watts: float | None = None
    """From `slower_from` on each iteration takes `slower` times as long, at so many watts."""
    gaps: tuple[tuple[float, float], ...] = ()
    """(second, seconds): the watcher gets no time to run."""
    pauses: tuple[tuple[float, float], ...] = ()
    """(second, seconds): the whole machine is paused."""
    lag_s: float = 0.0
    """A file server shows checkpoints so much later, all but the heartbeat."""
    gpu: Gpu | None = field(default_factory=Gpu)
    fault: Fault | None = None
    ends: bool = False
    """The training reaches its total within the night and finishes."""
    after_s: float = 0.0
    """How long a fault is looked at."""

    @property
    def foreign(self) -> bool:
        """lanewatch did not start it: it has no heartbeat and no keeper."""
        return self.mode != HEARTBEAT

    @property
    def total(self) -> int:
        """Iterations that the run is said to have."""
        if self.iterations is not None:
            return self.iterations
        usual = int((self.hours * 3600 - self.load_s) / self.step_s)
        return max(2, usual if self.ends else 2 * usual)

    def pace_s(self, done: int) -> float:
        """Seconds an iteration takes after *done* of them."""
        slower = self.slower_from is not None and done >= self.slower_from
        return self.step_s * (self.slower if slower else 1.0)

    @property
    def cadence_s(self) -> float:
        """Seconds between two checkpoints, without what evaluations take."""
        return self.save_interval * self.step_s + self.save_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The trainer from `at_s` on."""

    at_s: float
    phase: str
    done: int = 0
    saved: int = 0
    began_s: float = 0.0
    """When the phase began, and how long it will take, for what is written meanwhile."""
    lasts_s: float = 0.0
    over: bool = False


def moments(night: Night) -> Iterator[Moment]:
    """The trainer on its own clock, without faults and pauses."""
    draw = random.Random(f"{night.seed}-trainer")
    yield Moment(at_s=2.0, phase="loading", lasts_s=night.load_s)
    at, done, saved, saves = 2.0 + night.load_s, 0, 0, 0
    yield Moment(at_s=at, phase="first_iteration", lasts_s=night.first_iteration_s)
    at += night.first_iteration_s
    done = 1
    yield Moment(at_s=at, phase="iteration", done=done)
    spikes = dict(night.spikes)
    end = night.hours * 3600
    # It goes on while nobody looks: the first look after the night must not find it standing.
    end = max([end, *(begin + away for begin, away in night.gaps if begin <= end <= begin + away)])
    while done < night.total and (at < end or night.ends):
        count = _group(night, done, spikes)
        at += _seconds(night, done, count, spikes, draw)
        done += count
        saving = done % night.save_interval == 0 or done >= night.total
        evaluating = night.eval_interval and done % night.eval_interval == 0
        yield Moment(at_s=at, phase="iteration", done=done, saved=saved)
        if evaluating:
            lasts = min(3600.0, night.eval_s * _around(draw, 0.05))
            yield Moment(
                at_s=at, phase="evaluating", done=done, saved=saved, began_s=at, lasts_s=lasts
            )
            at += lasts
            yield Moment(at_s=at, phase="iteration", done=done, saved=saved)
        if saving:
            saves += 1
            factor = night.first_save_factor if saves == 1 else 1.0
            lasts = night.save_s * factor * _around(draw, 0.1)
            yield Moment(at_s=at, phase="saving", done=done, saved=saved, began_s=at, lasts_s=lasts)
            at += lasts
            saved = done
            yield Moment(at_s=at, phase="iteration", done=done, saved=saved)
    if done >= night.total:
        yield Moment(at_s=at + 2.0, phase="stopping", done=done, saved=saved, over=True)


def _group(night: Night, done: int, spikes: dict[int, float]) -> int:
    """How many iterations are told at once; no save, evaluation or spike lies between them."""
    if night.step_s >= 2.0:
        return 1
    count = max(1, int(GRAIN_S / night.step_s))
    stops = [night.save_interval - done % night.save_interval, night.total - done]
    if night.eval_interval:
        stops.append(night.eval_interval - done % night.eval_interval)
    stops += [each - done if each > done else 1 for each in spikes if done <= each < done + count]
    return max(1, min(count, *stops))


def _seconds(
    night: Night, done: int, count: int, spikes: dict[int, float], draw: random.Random
) -> float:
    factor = spikes.get(done, 1.0)
    if night.slower_from is not None and done >= night.slower_from:
        factor *= night.slower
    return count * night.step_s * factor * _around(draw, night.jitter / math.sqrt(count))


def _around(draw: random.Random, jitter: float) -> float:
    return max(0.3, min(2.5, math.exp(draw.gauss(0.0, jitter))))
