"""Learn a run's own pace: how long its iterations, saves and evaluations take, how its log speaks.

Pure, in bounded memory. Durations are differences of the trainer's own stamps, so that a starved
watcher learns nothing wrong; across a gap in the watch it learns nothing at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from monitor.facts import Facts, own_power
from monitor.limits import SAFETY_FACTOR, STANDARD, LimitConfig, limit_for
from monitor.middle import mean_and_deviation, median
from monitor.model import Heartbeat, History, Phase, Spread, Stage

KEPT = 128
"""Values a sample keeps; it then spans the whole run at half the density."""
RECENT = 5
WINDOW = 32
"""Intervals among which those of the present pace are looked for."""
SAME_PACE = 2.0
"""An interval is of the present pace within this factor of the last five's median."""
LOG_SILENCE_FLOOR_S = 30.0
LEARNT_GROWTHS = 3


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
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def median(self) -> float | None:
        """The middle value."""
        return median(self.values) if self.values else None


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
    step_max_s: float | None = None
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
    powers: Sample = field(default_factory=Sample)


def learn(
    learnt: Learnt, facts: Facts, *, observed_s: float, gap: bool, limits: LimitConfig = STANDARD
) -> Learnt:
    """Return what is known after one more look; *gap* says that looks were missed before it.

    By *limits* a duration that was called a stall is told from one that is a pace.
    """
    beat = facts.current_heartbeat
    if beat is None or beat.stage != Stage.TRAIN:
        return learnt
    learnt = _learn_process(learnt, beat, facts)
    if gap:
        learnt = replace(learnt, phase=beat.phase, phase_at=beat.monotonic_s)
        learnt = replace(learnt, done=beat.done, done_at=beat.monotonic_s)
    else:
        learnt = _learn_step(learnt, beat, limits)
        learnt = _learn_phase(learnt, beat, limits)
    learnt = _learn_checkpoints(learnt, facts)
    learnt = _learn_log(learnt, facts, observed_s, gap)
    watts = own_power(facts.machine, facts.process)
    if watts is not None and beat.phase == Phase.ITERATION and learnt.step_count:
        learnt = replace(learnt, powers=learnt.powers.add(watts))
    return learnt


def history_of(learnt: Learnt) -> History:
    """What the judges need of it."""
    since_log = 0
    if learnt.log_done is not None and learnt.done is not None:
        since_log = max(0, learnt.done - learnt.log_done)
    return History(
        step_max_s=learnt.step_max_s,
        step_count=learnt.step_count,
        step_median_s=learnt.steps.median(),
        step_recent_s=median(learnt.recent[-RECENT:]) if learnt.recent else None,
        step_low_s=learnt.steps.quantile(0.2),
        step_high_s=learnt.steps.quantile(0.8),
        save_max_s=learnt.save_max_s,
        save_count=learnt.save_count,
        saves_this_process=learnt.saves_this_process,
        first_save_s=learnt.first_save_s,
        save_median_s=learnt.saves.median(),
        eval_max_s=learnt.eval_max_s,
        eval_count=learnt.eval_count,
        start_s=learnt.start_s,
        first_iteration_s=learnt.first_iteration_s,
        log_cadence_s=learnt.log_cadence_s,
        log_growths=learnt.log_growths,
        iterations_since_log=since_log,
        log_gap_iterations=learnt.log_gap_iterations,
        power_median_w=learnt.powers.median(),
        step=_spread(learnt.steps.values, learnt.step_max_s),
        step_now=_spread(_of_the_present_pace(learnt.recent), learnt.step_max_s),
        save=_spread(learnt.saves.values, learnt.save_max_s),
        evaluation=_spread(learnt.evals.values, learnt.eval_max_s),
    )


def _spread(values: tuple[float, ...], longest: float | None) -> Spread | None:
    """Of *values*, a stall that recovered counted as no longer than the *longest* that was none."""
    if not values:
        return None
    mean, deviation = mean_and_deviation([min(each, longest or each) for each in values])
    return Spread(mean_s=mean, deviation_s=deviation, count=len(values))


def _of_the_present_pace(intervals: tuple[float, ...]) -> tuple[float, ...]:
    if not intervals:
        return ()
    now = median(intervals[-RECENT:])
    return tuple(each for each in intervals if now / SAME_PACE <= each <= now * SAME_PACE)


def _learn_process(learnt: Learnt, beat: Heartbeat, facts: Facts) -> Learnt:
    process = f"{beat.attempt}:{beat.pid}:{beat.boot_id}"
    if process == learnt.process:
        return learnt
    reading = facts.checkpoints
    there = [each.iteration for each in reading.checkpoints] if reading else []
    return replace(
        learnt,
        process=process,
        phase=beat.phase,
        phase_at=beat.monotonic_s,
        done=beat.done,
        done_at=beat.monotonic_s,
        saves_this_process=0,
        saved=max(there, default=-1),
        log_done=None,
    )


def _learn_step(learnt: Learnt, beat: Heartbeat, limits: LimitConfig) -> Learnt:
    """Learn from iterations that follow one another with nothing else between them."""
    if beat.done is None or beat.done == learnt.done:
        return learnt
    base = replace(learnt, done=beat.done, done_at=beat.monotonic_s)
    count = beat.done - learnt.done if learnt.done is not None else 0
    iterating = beat.phase == learnt.phase == Phase.ITERATION
    seconds = beat.monotonic_s - learnt.done_at
    if count <= 0 or not iterating or seconds <= 0:
        return base
    interval = seconds / count
    largest = learnt.step_max_s
    before = learnt.recent[-1] if learnt.recent else None
    if largest is None or (
        interval > largest and not _was_a_stall(learnt, Phase.ITERATION, interval, before, limits)
    ):
        largest = interval
    return replace(
        base,
        steps=learnt.steps.add(interval),
        recent=(*learnt.recent, interval)[-WINDOW:],
        step_count=learnt.step_count + count,
        step_max_s=largest,
    )


def _limit_of(learnt: Learnt, phase: str, limits: LimitConfig) -> float:
    """The limit in seconds that *phase* was judged by until now."""
    return limit_for(Stage.TRAIN, phase, history_of(learnt), limits).seconds


def _was_a_stall(
    learnt: Learnt, phase: str, seconds: float, before: float | None, limits: LimitConfig
) -> bool:
    """What went past its limit is a stall that recovered, not a pace; two in a row are a pace."""
    limit = _limit_of(learnt, phase, limits)
    return seconds > limit and (before is None or before <= limit)


def _learn_phase(learnt: Learnt, beat: Heartbeat, limits: LimitConfig) -> Learnt:
    if beat.phase == learnt.phase:
        return learnt
    seconds = max(0.0, beat.monotonic_s - learnt.phase_at)
    was = learnt.phase
    # Loading and the first iteration come once in a process: no second one tells a pace from a
    # stall. A longer one teaches as much as its limit allowed; five times that is room enough.
    once = min(seconds, _limit_of(learnt, was, limits))
    # A new phase is a new start for the iteration in progress, too.
    learnt = replace(learnt, phase=beat.phase, phase_at=beat.monotonic_s, done_at=beat.monotonic_s)
    if was == Phase.SAVING:
        return _learn_save(learnt, seconds, beat.done, limits)
    if was == Phase.EVALUATING:
        return _learn_eval(learnt, seconds, limits)
    if was == Phase.LOADING:
        return replace(learnt, start_s=max(learnt.start_s or 0.0, once))
    if was == Phase.FIRST_ITERATION:
        return replace(learnt, first_iteration_s=max(learnt.first_iteration_s or 0.0, once))
    return learnt


def _learn_save(learnt: Learnt, seconds: float, done: int | None, limits: LimitConfig) -> Learnt:
    """Learn one save; a process's first is apart, it pays for what later ones find ready."""
    counted = done is not None and done <= learnt.saved
    saves = learnt.saves_this_process + (0 if counted else 1)
    learnt = replace(learnt, saves_this_process=saves, saved=learnt.saved if counted else done or 0)
    if saves <= 1:
        return replace(learnt, first_save_s=min(seconds, _limit_of(Learnt(), Phase.SAVING, limits)))
    stalled = _was_a_stall(learnt, Phase.SAVING, seconds, learnt.last_save_s, limits)
    learnt = replace(learnt, last_save_s=seconds)
    if stalled:
        return learnt
    return replace(
        learnt,
        saves=learnt.saves.add(seconds),
        save_max_s=max(learnt.save_max_s or 0.0, seconds),
        save_count=learnt.save_count + 1,
    )


def _learn_eval(learnt: Learnt, seconds: float, limits: LimitConfig) -> Learnt:
    stalled = _was_a_stall(learnt, Phase.EVALUATING, seconds, learnt.last_eval_s, limits)
    learnt = replace(learnt, last_eval_s=seconds)
    if stalled:
        return learnt
    largest = max(learnt.eval_max_s or 0.0, seconds)
    evals = learnt.evals.add(seconds)
    return replace(learnt, eval_max_s=largest, eval_count=learnt.eval_count + 1, evals=evals)


def _learn_checkpoints(learnt: Learnt, facts: Facts) -> Learnt:
    """A save that fits between two looks shows only as a finished checkpoint."""
    newest = facts.checkpoints.last_complete if facts.checkpoints else None
    if newest is None or newest.iteration <= learnt.saved:
        return learnt
    saves = learnt.saves_this_process + 1
    return replace(learnt, saved=newest.iteration, saves_this_process=saves)


def _learn_log(learnt: Learnt, facts: Facts, observed_s: float, gap: bool) -> Learnt:
    """Learn how long the log is silent while iterations are proven."""
    log = facts.log
    if log is None or (log.path == learnt.log_path and log.size_bytes == learnt.log_bytes):
        return learnt
    base = replace(
        learnt,
        log_path=log.path,
        log_bytes=log.size_bytes,
        log_at=observed_s,
        log_done=learnt.done,
    )
    if gap or learnt.log_done is None or learnt.done is None or log.path != learnt.log_path:
        return base
    spoken = learnt.done - learnt.log_done
    silence = observed_s - learnt.log_at
    if spoken <= 0 or silence <= 0 or _was_stuck(learnt, silence, spoken):
        return base
    return replace(
        base,
        log_cadence_s=max(learnt.log_cadence_s or 0.0, silence),
        log_growths=learnt.log_growths + 1,
        log_gap_iterations=max(learnt.log_gap_iterations, spoken),
    )


def _was_stuck(learnt: Learnt, silence: float, spoken: int) -> bool:
    """A silence that was called log-stuck is not a cadence."""
    if learnt.log_cadence_s is None or learnt.log_growths < LEARNT_GROWTHS or spoken < 3:
        return False
    return silence > max(LOG_SILENCE_FLOOR_S, SAFETY_FACTOR * learnt.log_cadence_s)
