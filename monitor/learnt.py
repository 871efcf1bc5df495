"""What a watch has learnt of a run, as values that survive its restart in watch.json. Pure.

The rule: bounded memory. A night of looks keeps no more numbers than an hour of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

from monitor.loss import LossState
from monitor.middle import median

KEPT = 128
"""Values a sample keeps; it then spans the whole run at half the density."""
SETTLED_STEPS = 20
"""From so many iterations on the single largest is an outlier and sets no limit."""
STEPS_KEPT = 3
"""Largest intervals that are known: one after 20 and two after 100 iterations are no pace.

A single iteration that took four times as long would leave the whole night half as well watched.
"""
RECENT = 5
WINDOW = 32
"""Intervals that are kept as they come: those of the present pace are looked for among them."""


@lru_cache(maxsize=16)
def _ordered(values: tuple[float, ...]) -> tuple[float, ...]:
    """Sorted: most looks ask the same sample for several shares, and it has not changed."""
    return tuple(sorted(values))


@dataclass(frozen=True, slots=True)
class Sample:
    """An even sample of a series of any length in bounded memory."""

    values: tuple[float, ...] = ()
    stride: int = 1
    skipped: int = 0

    def add(self, value: float) -> Sample:
        """Return the sample with *value*, thinned by half when it is full."""
        if self.skipped + 1 < self.stride:
            return replace(self, skipped=self.skipped + 1)
        values = (*self.values, value)
        if len(values) <= KEPT:
            return Sample(values, self.stride)
        return Sample(values[::2], self.stride * 2)

    def quantile(self, share: float) -> float | None:
        """The value below which *share* (0 to 1) of the sample lies."""
        if not self.values:
            return None
        ordered = _ordered(self.values)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def median(self) -> float | None:
        """The middle value."""
        return median(_ordered(self.values)) if self.values else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What log and checkpoints have told of a run that writes no heartbeat.

    Times are observed seconds; None stands for what was there before the watch began.
    """

    attempt: int = 1
    process: int | None = None
    """Pid of the trainer: another one saves for the first time again."""
    iteration: int | None = None
    """The highest that was proven."""
    source: str | None = None
    """What proved it: log, tracker or checkpoint."""
    proven_at: float | None = None
    log_iteration: int | None = None
    log_at: float | None = None
    """When the log told of that iteration."""
    log_gap_s: float | None = None
    """Largest time between two iterations that the log told of."""
    odd_s: float | None = None
    """The last such time that looked like a stall which recovered, and taught nothing."""
    stepped_s: float = 0.0
    """Time in which the log told of `stepped` iterations, evaluations and saves among them."""
    stepped: int = 0
    saved: int | None = None
    """The newest finished checkpoint."""
    saved_at: float | None = None
    inherited: bool = False
    """It was there before the watch, perhaps from another run into the same folder."""
    first_s: float | None = None
    """How long the watch waited for the first of them: the least that one takes."""
    gap_s: float | None = None
    """Largest time between two finished checkpoints, both of them seen to come."""
    least_gap_s: float | None = None
    last_gap_s: float | None = None
    gap_iterations: int | None = None
    """Largest number of iterations between two of them."""
    writing_at: float | None = None
    """When a folder was first seen to be written; None while none is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What the run's own GPU drew, while it trained and just now."""

    working: Sample = field(default_factory=Sample)
    """Only while iterations advanced."""
    pending: tuple[float, ...] = ()
    """Since the last iteration: whether it is work will be known at the next one."""
    recent: tuple[tuple[float, float, float | None], ...] = ()
    """(observed seconds, watts, percent of utilisation) of the last minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What the trainer used while iterations advanced, one value an iteration or a few seconds."""

    cores: Sample = field(default_factory=Sample)
    """CPU seconds a second."""
    clock: Sample = field(default_factory=Sample)
    """SM clock in MHz of the run's own GPU."""
    since: tuple[float, float] | None = None
    """(observed seconds, CPU seconds used) where the present stretch begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """Everything that is needed to go on learning; kept in watch.json."""

    process: str = ""
    """Attempt and pid: a resumed trainer saves for the first time again."""
    phase: str = ""
    phase_at: float = 0.0
    """Stamp of the heartbeat that began the phase."""
    done: int | None = None
    done_at: float = 0.0
    """Stamp of the heartbeat that first said `done`; meaningful while iterating."""
    steps: Sample = field(default_factory=Sample)
    recent: tuple[float, ...] = ()
    step_top: tuple[float, ...] = ()
    """The largest intervals between two iterations, the largest first."""
    step_count: int = 0
    saves: Sample = field(default_factory=Sample)
    save_max_s: float | None = None
    save_count: int = 0
    saves_this_process: int = 0
    saved: int = -1
    """The last iteration whose save was counted."""
    first_save_s: float | None = None
    start_s: float | None = None
    first_iteration_s: float | None = None
    eval_max_s: float | None = None
    eval_count: int = 0
    evals: Sample = field(default_factory=Sample)
    last_save_s: float | None = None
    """Of the save before, also when it taught nothing; so `last_eval_s`."""
    last_eval_s: float | None = None
    log_path: str = ""
    log_bytes: int = 0
    log_at: float = 0.0
    """Observed time of the last growth."""
    log_done: int | None = None
    """Iteration at the last growth; None before the first."""
    log_cadence_s: float | None = None
    log_growths: int = 0
    log_gap_iterations: int = 0
    log_odd: tuple[float, int, int] | None = None
    """The last silence that was called log-stuck and ended: seconds, iterations, growths before."""
    outside: Outside = field(default_factory=Outside)
    power: Power = field(default_factory=Power)
    use: Use = field(default_factory=Use)
    losses: LossState = field(default_factory=LossState)
    save_family: int = 0
    """Most processes of the trainer while a checkpoint was being written; 0: none is."""
    save_missing: int = 0
    """So many of them have ended since."""

    @property
    def step_max_s(self) -> float | None:
        """The largest interval that is a pace; None before there is one."""
        odd = (self.step_count >= SETTLED_STEPS) + (self.step_count >= 100)
        return self.step_top[min(odd, len(self.step_top) - 1)] if self.step_top else None


def with_step(learnt: Learnt, interval: float, *, is_pace: bool) -> Learnt:
    """Return *learnt* with one more interval between iterations that was no stall.

    *is_pace*: it is the second in a row that went past the limit.
    """
    top = learnt.step_top
    if is_pace:
        return replace(learnt, step_top=(interval,) * STEPS_KEPT)
    if len(top) == STEPS_KEPT and interval <= top[-1]:
        return learnt
    return replace(learnt, step_top=tuple(sorted((*top, interval), reverse=True)[:STEPS_KEPT]))
