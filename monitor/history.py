"""Learn a run's own pace: how long its iterations, saves and evaluations take, how its log speaks.

Pure, in bounded memory. Durations are differences of the trainer's own stamps, so that a starved
watcher learns nothing wrong; across a gap in the watch it learns nothing at all.
"""

from __future__ import annotations

from functools import lru_cache

from monitor.costs import spread_of
from monitor.facts import Facts, own_power
from monitor.frozen import replace
from monitor.learnt import (
    KEPT,
    RECENT,
    SETTLED_STEPS,
    WINDOW,
    Learnt,
    Sample,
    with_step,
)
from monitor.limits import POWER_FACTOR, SAFETY_FACTOR, STANDARD, LimitConfig, limit_for
from monitor.log_cadence import LEARNT_GROWTHS, learn_log
from monitor.loss import describe_loss, follow, judge_loss, loss_of
from monitor.middle import median, spread
from monitor.model import Heartbeat, History, Phase, Spread, Stage
from monitor.outside import Moment, Saved, learn_outside
from monitor.power import learn_power, recent_power
from monitor.use import learn_use

__all__ = ["KEPT", "LEARNT_GROWTHS", "Learnt", "Sample", "history_of"]

SAME_PACE = 2.0
"""An interval is of a pace within this factor of its median."""


def learn(
    learnt: Learnt,
    facts: Facts,
    *,
    when: Moment,
    saved: Saved | None = None,
    limits: LimitConfig = STANDARD,
) -> Learnt:
    """Return what is known after one more look.

    By *limits* a duration that was called a stall is told from one that is a pace.
    """
    if facts.stage not in (None, Stage.TRAIN):
        return learnt
    beat = facts.current_heartbeat
    losses = follow(learnt.losses, loss_of(beat, facts.log_progress))
    learnt = learnt if losses is learnt.losses else replace(learnt, losses=losses)
    before = learnt
    if beat is not None and beat.stage == Stage.TRAIN:
        learnt = _learn_heartbeat(learnt, beat, facts, when, limits)
    elif beat is None and not spoke(learnt, facts.attempt):
        learnt = learn_outside(learnt, facts, saved, when, limits)
        learnt = learn_log(learnt, facts, learnt.outside.iteration, when)
    else:
        return learnt
    learnt = _learn_family(learnt, facts, beat)
    return _learn_activity(before, learnt, facts, beat, when)


def spoke(learnt: Learnt, attempt: int) -> bool:
    """A heartbeat of this attempt was read, now or before."""
    return learnt.process.startswith(f"{attempt}:")


def history_of(learnt: Learnt) -> History:
    """What the judges need of it."""
    outside, working = learnt.outside, learnt.power.working
    done = learnt.done if learnt.process else outside.iteration
    since_log = 0
    if learnt.log_done is not None and done is not None:
        since_log = max(0, done - learnt.log_done)
    recent = recent_power(learnt.power)
    longest = learnt.step_top[0] if learnt.step_top else None
    return History(
        step_max_s=learnt.step_max_s,
        step_count=learnt.step_count,
        step_median_s=learnt.steps.median(),
        step_recent_s=median(learnt.recent[-RECENT:]) if learnt.recent else None,
        step_least_s=sorted(learnt.recent[-RECENT:])[:2][-1] if learnt.recent else None,
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
        power_median_w=working.median(),
        power_low_w=working.quantile(0.05),
        clock_median_mhz=learnt.use.clock.median(),
        power_spread_w=_deviation(working.values),
        recent_power_w=recent.watts,
        recent_spread_w=recent.spread_w,
        recent_busy_percent=recent.busy_percent,
        save_missing=learnt.save_missing,
        iteration=outside.iteration,
        iteration_source=outside.source,
        saved=outside.saved,
        pace_s=outside.stepped_s / outside.stepped if outside.stepped else None,
        pace_count=outside.stepped,
        log_gap_s=outside.log_gap_s,
        checkpoint_gap_s=outside.gap_s,
        checkpoint_gap_least_s=outside.least_gap_s,
        checkpoint_gap_iterations=outside.gap_iterations,
        checkpoint_wait_s=outside.first_s,
        loss_trouble=judge_loss(learnt.losses),
        loss_words=describe_loss(learnt.losses),
        step=_spread(_iterations_alone(learnt), longest),
        step_now=_spread(_near(learnt.recent, learnt.recent[-RECENT:]), longest),
        save=_spread(learnt.saves.values, learnt.save_max_s),
        evaluation=_spread(learnt.evals.values, learnt.eval_max_s),
    )


@lru_cache(maxsize=16)  # most looks change none of the samples
def _spread(values: tuple[float, ...], longest: float | None) -> Spread | None:
    """Of *values*, a stall that recovered counted as no longer than the *longest* that was none."""
    return spread_of([min(each, longest or each) for each in values])


def _iterations_alone(learnt: Learnt) -> tuple[float, ...]:
    """Between two lines of a log a save or an evaluation may lie: that is no iteration's pace."""
    values = learnt.steps.values
    return values if learnt.process else _near(values, values)


@lru_cache(maxsize=4)
def _near(values: tuple[float, ...], those: tuple[float, ...]) -> tuple[float, ...]:
    """Those of *values* that are within `SAME_PACE` of the median of *those*."""
    if not those:
        return ()
    usual = median(those)
    return tuple(each for each in values if usual / SAME_PACE <= each <= usual * SAME_PACE)


@lru_cache(maxsize=4)
def _deviation(values: tuple[float, ...]) -> float | None:
    return spread(values) if values else None


def _learn_heartbeat(
    learnt: Learnt, beat: Heartbeat, facts: Facts, when: Moment, limits: LimitConfig
) -> Learnt:
    learnt = _learn_process(learnt, beat, facts)
    if when.gap:
        learnt = replace(learnt, phase=beat.phase, phase_at=beat.monotonic_s)
        learnt = replace(learnt, done=beat.done, done_at=beat.monotonic_s)
    else:
        learnt = _learn_step(learnt, beat, limits)
        learnt = _learn_phase(learnt, beat, limits)
    learnt = _learn_checkpoints(learnt, facts)
    return learn_log(learnt, facts, learnt.done, when)


def _learn_activity(
    before: Learnt, learnt: Learnt, facts: Facts, beat: Heartbeat | None, when: Moment
) -> Learnt:
    """Take CPU time, clock and power into account: work only while iterations are seen to advance.

    Without a heartbeat a checkpoint that comes proves as much as an iteration that the log tells.
    """
    watts = own_power(facts.machine, facts.process)
    stepped = learnt.step_count > before.step_count
    saved = beat is None and learnt.saves_this_process > before.saves_this_process
    use = learn_use(
        learnt.use,
        None if facts.process is None else facts.process.cpu_s,
        _clock(facts) if watts is not None else None,
        at=when.observed_s,
        broken=when.gap or _left(facts, beat),
        advanced=stepped or saved,
    )
    learnt = learnt if use is learnt.use else replace(learnt, use=use)
    if watts is None and not learnt.power.recent:
        return learnt
    outside = learnt.outside
    slow = (stepped and learnt.recent[-1] > (learnt.step_max_s or 0.0)) or (
        saved and (outside.last_gap_s or 0.0) > (outside.gap_s or 0.0)
    )
    begun = learnt.step_count > 0 or (beat is None and learnt.saves_this_process > 0)
    iterating = begun and _iterates(facts, beat)
    power = learn_power(
        learnt.power if not _left(facts, beat) and not slow else replace(learnt.power, pending=()),
        None if watts is None else (watts, _utilisation(facts)),
        at=when.observed_s,
        fresh=when.gap,
        iterating=iterating,
        advanced=stepped or saved,
    )
    return learnt if power is learnt.power else replace(learnt, power=power)


def _iterates(facts: Facts, beat: Heartbeat | None) -> bool:
    """By the heartbeat, else by what log and folders hint at."""
    if beat is not None:
        return beat.phase == Phase.ITERATION
    said, reading = facts.log_progress, facts.checkpoints
    if reading is not None and reading.writing_bytes is not None:
        return False
    return said is None or said.phase in (None, Phase.ITERATION)


def _left(facts: Facts, beat: Heartbeat | None) -> bool:
    """The heartbeat says that the iteration in progress was left; hints say no such thing."""
    return beat is not None and not _iterates(facts, beat)


def _utilisation(facts: Facts) -> float | None:
    """Of the one GPU whose power is the run's own."""
    busy = [gpu for gpu in facts.machine.gpus if gpu.process_bytes] if facts.machine else []
    percent = busy[0].utilisation_percent if busy else None
    return None if percent is None else float(percent)


def _clock(facts: Facts) -> float | None:
    """SM clock of the same GPU."""
    busy = [gpu for gpu in facts.machine.gpus if gpu.process_bytes] if facts.machine else []
    return busy[0].sm_clock_mhz if busy else None


def _learn_family(learnt: Learnt, facts: Facts, beat: Heartbeat | None) -> Learnt:
    """Count the trainer's processes while a checkpoint is written: a save worker may be lost."""
    process, reading = facts.process, facts.checkpoints
    if process is None or not process.alive:
        return learnt
    saving = beat is not None and beat.phase == Phase.SAVING
    if not saving and (reading is None or reading.writing_bytes is None):
        return learnt if not learnt.save_family else replace(learnt, save_family=0, save_missing=0)
    most = max(learnt.save_family, len(process.pids))
    missing = most - len(process.pids)
    if (most, missing) == (learnt.save_family, learnt.save_missing):
        return learnt
    return replace(learnt, save_family=most, save_missing=missing)


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
    before = learnt.recent[-1] if learnt.recent else None
    limit = _limit_of(learnt, Phase.ITERATION, limits)
    stalled = interval > limit and (before is None or before <= limit)
    if not (stalled and learnt.step_top):
        base = with_step(base, interval, is_pace=interval > limit and not stalled)
    elif learnt.step_count < SETTLED_STEPS and interval <= POWER_FACTOR * limit:
        # So early, and while it is at work no stall yet: the limit is not below what it just took.
        base = with_step(base, interval / SAFETY_FACTOR, is_pace=False)
    return replace(
        base,
        steps=learnt.steps.add(interval),
        recent=(*learnt.recent, interval)[-WINDOW:],
        step_count=learnt.step_count + count,
    )


def _limit_of(learnt: Learnt, phase: str, limits: LimitConfig) -> float:
    """The limit in seconds that *phase* was judged by until now."""
    known = History(
        step_max_s=learnt.step_max_s,
        step_count=learnt.step_count,
        save_max_s=learnt.save_max_s,
        save_count=learnt.save_count,
        saves_this_process=learnt.saves_this_process,
        eval_max_s=learnt.eval_max_s,
        eval_count=learnt.eval_count,
    )
    return limit_for(Stage.TRAIN, phase, known, limits).seconds


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
