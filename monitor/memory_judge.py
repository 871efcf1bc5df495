"""How near the machine's memory is to its limit, and when a person must know. Pure.

The rule: three independent reasons warn (where the climb leads, how far memory was seen to jump,
what is left on a machine whose GPU shares it); a level rises after two samples that agree, and
falls only after a calm minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from monitor.budget import GPU_SHARE, gpu_bytes, is_unified, memory_limit
from monitor.frozen import replace
from monitor.memory_model import Held, MemoryLevel, MemoryPeaks, MemoryVerdict
from monitor.memory_trend import Forecast, Point, Windows
from monitor.model import GpuReading, MemoryReading, Phase, ProcessId, ProcessReading, Stage
from monitor.words import duration, gibibytes

__all__ = [
    "Budget",
    "Held",
    "MemoryLevel",
    "MemoryLook",
    "MemoryPeaks",
    "MemoryState",
    "MemoryVerdict",
    "advance_memory",
    "judge_memory",
    "level_of",
]

GIB = 1 << 30
WARN_FLOOR = 0.17
"""Of MemTotal still available: 20 GiB on a machine of 120."""
HIGH_FLOOR = 0.13
NEAR_SHARE = 0.04
"""Of the limit left: high on every machine, also with a limit of one's own."""
FLOOR_EASE = 0.01
LIMIT_EASE = 0.98
JUMP_S = 2.5
"""Two seconds, and the jitter of a sample a second."""
JUMP_EASE = 1.25
LEAST_JUMP = 0.01
"""Of the limit: a smaller jump is noise."""
ASSUMED_JUMP_BYTES = 15 * GIB
"""On a unified machine until a run's own jumps are known: 14 to 21 GiB within two seconds were
measured there, at a resume and after a load."""
ASSUMED_JUMP_SHARE = 0.125
CALM_S = 60.0
TREND_EVERY_S = 5.0
CLOSE_EVERY_S = 2.0
CLOSE_SHARE = 0.2
"""Of the limit left: from here on every sample is looked at anew."""
PLAN_SLACK = 1.1
SHOWN_S = 2 * 3600.0
"""A climb that would take longer to the limit is not worth a figure."""

_PLANNED = frozenset({Phase.LOADING, Phase.FIRST_ITERATION, Phase.SAVING, Phase.STOPPING})
_BEGINNING = frozenset({Phase.LOADING, Phase.FIRST_ITERATION})
_LIGHT = frozenset({Stage.PULL, Stage.FETCH, Stage.PREPARE})
"""Stages that take no memory worth speaking of: what is used then is the machine's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a run may let the machine use, and what is known of it beforehand."""

    limit_bytes: int | None = None
    """None: the machine's default."""
    gpu_limit_bytes: int | None = None
    """Of each discrete GPU; None: 95 % of it."""
    plan_bytes: int | None = None
    """What the run is expected to take: its preflight estimate, or this recipe's last peak."""
    load_jump_bytes: int | None = None
    """Largest jump of this recipe's last run while it began; None: there was none."""
    jump_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLook:
    """One look at the memory of a machine and of one run."""

    at_s: float
    """CLOCK_MONOTONIC."""
    memory: MemoryReading
    gpus: tuple[GpuReading, ...] = ()
    process: ProcessReading | None = None
    identity: ProcessId | None = None
    stage: str | None = None
    phase: Phase | None = None
    iterating: bool = False
    """An iteration has been proven, by whatever signal."""
    saved: bool = False
    """This process has saved once: its largest moment is over."""
    wall_s: float = 0.0

    @property
    def run_bytes(self) -> int | None:
        """What the run holds of the machine's memory: own pages, and the GPU's where shared."""
        process = self.process
        if process is None or not process.alive:
            return None
        own = process.anonymous_bytes if process.anonymous_bytes is not None else process.rss_bytes
        if own is None and process.cgroup is not None:
            own = process.cgroup.used_bytes
        on_gpu = 0
        if is_unified(self.gpus, self.memory.total_bytes):
            on_gpu = gpu_bytes(self.gpus, frozenset(process.pids)) or 0
        return None if own is None else own + on_gpu

    @property
    def planned(self) -> bool:
        """A phase in which memory is meant to rise; also while nobody knows the phase."""
        if self.stage not in (None, Stage.TRAIN):
            return True
        return self.phase in _PLANNED if self.phase is not None else not self.iterating

    @property
    def beginning(self) -> bool:
        """Loading, or before the first iteration is done."""
        if self.stage not in (None, Stage.TRAIN):
            return True
        return self.phase in _BEGINNING if self.phase is not None else not self.iterating

    @property
    def heavy(self) -> bool:
        """A trainer lives that may hold memory."""
        return self.process is not None and self.process.alive and self.stage not in _LIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryState:
    """What is carried from one look to the next; only some of it outlives the watcher."""

    level: MemoryLevel = MemoryLevel.OK
    reason: str = ""
    peaks: MemoryPeaks = field(default_factory=MemoryPeaks)
    held: Held | None = None
    unified: bool | None = None
    windows: Windows = field(default_factory=Windows)
    tail: tuple[tuple[float, int], ...] = ()
    """(seconds, used) of the last two seconds."""
    rising: MemoryLevel = MemoryLevel.OK
    """What the look before said."""
    calm_since_s: float | None = None
    forecast: Forecast | None = None
    forecast_at_s: float | None = None


def advance_memory(state: MemoryState, look: MemoryLook, budget: Budget) -> MemoryState:
    """Return the state after *look*."""
    memory, limit = look.memory, memory_limit(look.memory.total_bytes, budget.limit_bytes)
    unified = is_unified(look.gpus, memory.total_bytes)
    state = replace(state, unified=state.unified if unified is None else unified)
    state = _note_peaks(state, look)
    state = _note_jump(state, look)
    point = Point(look.at_s, memory.used_bytes, look.run_bytes, open=not look.planned)
    last = state.windows.recent[-1].at_s if state.windows.recent else None
    if last is None or look.at_s > last:
        state = replace(state, windows=state.windows.add(point))
    return _note_level(_note_forecast(state, look, budget, limit), look, budget, limit)


def judge_memory(state: MemoryState, look: MemoryLook, budget: Budget) -> MemoryVerdict:
    """Say what *state* makes of *look*, the last that it was given."""
    memory, peaks = look.memory, state.peaks
    limit = memory_limit(memory.total_bytes, budget.limit_bytes)
    forecast, run = state.forecast, look.run_bytes
    soon = forecast if forecast is not None and forecast.seconds <= SHOWN_S else None
    return MemoryVerdict(
        level=state.level,
        reason=state.reason if state.level is not MemoryLevel.OK else "",
        minutes_to_limit=_minutes(memory.used_bytes, limit, soon),
        used_bytes=memory.used_bytes,
        limit_bytes=limit,
        available_bytes=memory.available_bytes,
        gpu_bytes=gpu_bytes(look.gpus),
        cache_bytes=memory.cached_bytes,
        unified=state.unified,
        climb_bytes_s=soon.climb if soon else None,
        run_bytes=run,
        run_share=state.windows.share_of_run(
            memory.used_bytes, run, limit, peaks.baseline_bytes or 0
        ),
    )


def level_of(memory: MemoryReading, limit: int, *, unified: bool | None) -> MemoryLevel:
    """The level that one sample alone supports: what a single look can say."""
    look = MemoryLook(at_s=0.0, memory=memory)
    return _highest(_floors(look, limit, unified=bool(unified), eased=False))[0]


def _minutes(used: int, limit: int, forecast: Forecast | None) -> float | None:
    if used >= limit:
        return 0.0
    return forecast.seconds / 60 if forecast else None


def _note_peaks(state: MemoryState, look: MemoryLook) -> MemoryState:
    """Keep the most that the run took, and what it held when it was last seen to live."""
    peaks, used, run = state.peaks, look.memory.used_bytes, look.run_bytes
    waiting = look.stage is None and not look.heavy and state.held is None
    before = look.stage in _LIGHT or waiting
    if before or peaks.baseline_bytes is None:  # memory that comes back late is no baseline
        peaks = replace(peaks, baseline_bytes=max(0, used - (run or 0)))
    baseline = peaks.baseline_bytes or 0
    if not look.heavy:
        return replace(state, peaks=peaks)
    process = look.process
    assert process is not None
    peaks = replace(
        peaks,
        used_bytes=_largest(peaks.used_bytes, max(0, used - baseline)),
        rss_bytes=_largest(peaks.rss_bytes, process.rss_bytes),
        gpu_bytes=_largest(peaks.gpu_bytes, gpu_bytes(look.gpus, frozenset(process.pids))),
    )
    held = state.held
    if look.identity is not None:
        held = Held(
            process=look.identity,
            wall_s=look.wall_s,
            used_bytes=used,
            run_bytes=run or 0,
            baseline_bytes=baseline,
        )
    return replace(state, peaks=peaks, held=held)


def _note_jump(state: MemoryState, look: MemoryLook) -> MemoryState:
    used, peaks = look.memory.used_bytes, state.peaks
    tail = tuple(each for each in state.tail if look.at_s - JUMP_S <= each[0] <= look.at_s)
    jump = used - min((each[1] for each in tail), default=used)
    if look.beginning:
        peaks = replace(peaks, load_jump_bytes=_largest(peaks.load_jump_bytes, jump))
    else:
        peaks = replace(peaks, jump_bytes=_largest(peaks.jump_bytes, jump))
    return replace(state, peaks=peaks, tail=(*tail, (look.at_s, used)))


def _note_forecast(state: MemoryState, look: MemoryLook, budget: Budget, limit: int) -> MemoryState:
    """Look where the climb leads: now and then, and more often once it is close."""
    used, at_s = look.memory.used_bytes, state.forecast_at_s
    close = limit - used < CLOSE_SHARE * limit
    if (
        at_s is not None
        and 0 <= look.at_s - at_s < (CLOSE_EVERY_S if close else TREND_EVERY_S) - 0.05
    ):
        return state
    beyond = (
        budget.plan_bytes is not None
        and used - (state.peaks.baseline_bytes or 0) > PLAN_SLACK * budget.plan_bytes
    )
    forecast = None
    if not look.planned or beyond:
        forecast = state.windows.forecast(limit, planned=beyond)
    return replace(state, forecast=forecast, forecast_at_s=look.at_s)


def _note_level(state: MemoryState, look: MemoryLook, budget: Budget, limit: int) -> MemoryState:
    """Rise after two looks that agree; fall after a calm minute."""
    now, reason = _highest(_findings(state, look, budget, limit, eased=False))
    agreed = min(now, state.rising, key=lambda each: each.rank)
    state = replace(state, rising=now)
    if agreed.rank > state.level.rank:
        return replace(state, level=agreed, reason=reason, calm_since_s=None)
    still, eased_reason = _highest(_findings(state, look, budget, limit, eased=True))
    if still.rank >= state.level.rank:
        kept = eased_reason if still is state.level else state.reason
        return replace(state, reason=kept, calm_since_s=None)
    since = look.at_s if state.calm_since_s is None else state.calm_since_s
    if look.at_s - since < CALM_S:
        return replace(state, calm_since_s=since)
    return replace(state, level=still, reason=eased_reason, calm_since_s=None)


Finding = tuple[MemoryLevel, str]


def _highest(findings: Iterator[Finding]) -> Finding:
    """The worst one; of equals the first."""
    return max(findings, key=lambda each: each[0].rank, default=(MemoryLevel.OK, ""))


def _findings(
    state: MemoryState, look: MemoryLook, budget: Budget, limit: int, *, eased: bool
) -> Iterator[Finding]:
    """Every reason to be above `ok`. *eased*: by the thresholds that keep a level, once reached."""
    yield from _climb(state, look, limit, eased=eased)
    yield from _floors(look, limit, unified=bool(state.unified), eased=eased)
    yield from _burst(state, look, budget, limit, eased=eased)
    yield from _discrete(look, budget, eased=eased)


def _climb(state: MemoryState, look: MemoryLook, limit: int, *, eased: bool) -> Iterator[Finding]:
    forecast = state.forecast
    if forecast is not None and forecast.trips(eased=eased):
        yield (
            MemoryLevel.WARN,
            f"memory reaches its limit in {duration(forecast.seconds)} at the present climb of "
            f"{gibibytes(forecast.climb * 60)} a minute: {_of_limit(look, limit)}",
        )


def _floors(look: MemoryLook, limit: int, *, unified: bool, eased: bool) -> Iterator[Finding]:
    memory, ease = look.memory, FLOOR_EASE if eased else 0.0
    used, left = memory.used_bytes, limit - memory.used_bytes
    if used >= limit * (LIMIT_EASE if eased else 1.0):
        yield MemoryLevel.LIMIT, f"memory has reached its limit: {_of_limit(look, limit)}"
    if left < (NEAR_SHARE + ease) * limit:
        yield MemoryLevel.HIGH, f"{gibibytes(max(0, left))} left: {_of_limit(look, limit)}"
    if not unified:
        return
    said = f"only {gibibytes(memory.available_bytes)} of the memory that CPU and GPU share is free"
    if memory.available_bytes < (HIGH_FLOOR + ease) * memory.total_bytes:
        yield MemoryLevel.HIGH, said
    if memory.available_bytes < (WARN_FLOOR + ease) * memory.total_bytes:
        yield MemoryLevel.WARN, said


def _burst(
    state: MemoryState, look: MemoryLook, budget: Budget, limit: int, *, eased: bool
) -> Iterator[Finding]:
    jump, where = _jump(state, look, budget)
    left = limit - look.memory.used_bytes
    if jump >= LEAST_JUMP * limit and left < jump * (JUMP_EASE if eased else 1.0):
        yield (
            MemoryLevel.WARN,
            f"{gibibytes(max(0, left))} left, and {where} memory jumped by {gibibytes(jump)} "
            f"within two seconds: {_of_limit(look, limit)}",
        )


def _jump(state: MemoryState, look: MemoryLook, budget: Budget) -> tuple[int, str]:
    """The largest jump to reckon with now, and where it was seen."""
    own, seeded = [state.peaks.jump_bytes or 0], [budget.jump_bytes or 0]
    if look.beginning:
        own.append(state.peaks.load_jump_bytes or 0)
        seeded.append(budget.load_jump_bytes or 0)
    found = [(max(own), "in this run"), (max(seeded), "in an earlier run of this recipe")]
    known = budget.jump_bytes is not None or (look.saved and not look.beginning)
    if state.unified and not known:
        assumed = min(ASSUMED_JUMP_BYTES, int(ASSUMED_JUMP_SHARE * look.memory.total_bytes))
        found.append((assumed, "on such machines"))
    return max(found, key=lambda each: each[0])


def _discrete(look: MemoryLook, budget: Budget, *, eased: bool) -> Iterator[Finding]:
    """A full discrete GPU ends its trainer and harms nothing else: never more than a warning."""
    for gpu in look.gpus:
        used, total = gpu.memory_used_bytes, gpu.memory_total_bytes
        if used is None or total is None or is_unified((gpu,), look.memory.total_bytes):
            continue
        limit = budget.gpu_limit_bytes or int(GPU_SHARE * total)
        if used >= limit * (LIMIT_EASE if eased else 1.0):
            figures = f"{gibibytes(used)} of {gibibytes(total)} used"
            yield MemoryLevel.WARN, f"the memory of GPU {gpu.index} is nearly full: {figures}"


def _of_limit(look: MemoryLook, limit: int) -> str:
    return f"{gibibytes(look.memory.used_bytes)} of {gibibytes(limit)} used"


def _largest(*values: int | None) -> int | None:
    return max((each for each in values if each is not None), default=None)
