"""Decide whether a run is alive, and say why. Pure: the same observation, the same verdict.

The one rule: progress decides, and missing signals never make a stall. Precedence is `ended`, then
proven progress, then saving and working, then suspect and stalled, then lost. Heartbeat, tracker
and finished checkpoints are progress; CPU time, utilisation and power only name a stall's looks.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.evidence import (
    activity_age,
    current_heartbeat,
    evidence_of,
    iteration_of,
    phase_of,
    signature_of,
    slow_causes,
)
from monitor.facts import GPU_FRESH_S
from monitor.history import LEARNT_GROWTHS, LOG_SILENCE_FLOOR_S
from monitor.limits import (
    ABSENCE_S,
    POWER_FACTOR,
    POWER_SHARE,
    SAFETY_FACTOR,
    Limit,
    LimitConfig,
    limit_for,
)
from monitor.loss import loss_flags
from monitor.model import Liveness, Observation, Phase, Stage, Status, Verdict
from monitor.words import duration, iterations, moment

LOG_STUCK_ITERATIONS = 3
"""Fewer proven iterations may simply not have been worth a line."""
DISK_FULL_BYTES = 1 << 20
"""With less room a trainer on a copy-on-write file system cannot rewrite its heartbeat."""
SLOW_FACTOR = 2.0
SLOW_STEPS = 20
"""Iterations before a run's own pace means something."""

_ENDINGS = {
    Status.FINISHED: Liveness.FINISHED,
    Status.FAILED: Liveness.FAILED,
    Status.STOPPED: Liveness.STOPPED,
}


@dataclass(frozen=True, slots=True)
class _Finding:
    liveness: Liveness
    reason: str
    limit: Limit | None = None
    flags: tuple[str, ...] = ()


def judge(observation: Observation, config: LimitConfig) -> Verdict:
    """Return the verdict that *observation* supports, with all of its evidence."""
    finding = (
        _ended(observation)
        or _unobservable(observation)
        or _gone(observation)
        or _judge_progress(observation, config)
    )
    value, error, source = iteration_of(observation)
    return Verdict(
        liveness=finding.liveness,
        reason=finding.reason,
        flags=(*finding.flags, *loss_flags(observation.history)),
        evidence=evidence_of(observation, finding.liveness, finding.limit),
        iteration=value,
        iteration_error=error,
        iteration_source=source,
        limit_s=finding.limit.seconds if finding.limit else None,
    )


def _ended(observation: Observation) -> _Finding | None:
    """What the keeper recorded, or the machine's own restart."""
    status = observation.status
    if status is not None and status.final:
        return _Finding(_ENDINGS[status], _ending_reason(observation, status))
    if not observation.boot_changed:
        return None
    where = f"in stage {observation.stage}" if observation.stage else "under way"
    reason = f"the machine was restarted while the run was {where}, {_how_far(observation)}"
    if observation.last_sample_wall is not None:
        reason += f"; last seen {moment(observation.last_sample_wall)}"
    return _Finding(Liveness.FAILED, reason)


def _ending_reason(observation: Observation, status: Status) -> str:
    far = _how_far(observation)
    if status is Status.FINISHED:
        return f"every stage is done, {far}"
    if status is Status.STOPPED:
        return f"{observation.cause or 'stopped on request'}, {far}"
    return f"{observation.cause or 'it failed and no cause was recorded'}, {far}"


def _gone(observation: Observation) -> _Finding | None:
    """Where nobody lives there is no living verdict, whatever was written last."""
    process = observation.process
    if process is None and observation.held is False and not observation.foreign:
        reason = "nobody lives: no keeper and no trainer holds the run; its launch or keeper died"
        return _Finding(Liveness.LOST, f"{reason}. {_way_on(observation)}")
    if process is None or process.alive:
        return None
    if observation.foreign:
        value, _, _ = iteration_of(observation)
        total = observation.total if observation.total is not None else "an unknown number"
        reached = f"reached {0 if value is None else value} of {total}"
        return _Finding(Liveness.ENDED, f"{reached}, exit status not observable")
    if observation.held is False:
        reason = "nobody lives: the trainer has ended, and so has the keeper that would say how"
        return _Finding(Liveness.LOST, f"{reason}. {_way_on(observation)}")
    return _Finding(Liveness.LOST, "the trainer has ended; the keeper has not recorded how yet")


def _way_on(observation: Observation) -> str:
    run = observation.run
    return f"`lanewatch watch {run}` finds out how it ended, `lanewatch resume {run}` goes on"


def _unobservable(observation: Observation) -> _Finding | None:
    seen = (
        observation.heartbeat,
        observation.process,
        observation.log,
        observation.checkpoints,
        observation.status,
    )
    if any(each is not None for each in seen):
        return None
    unreadable = "; ".join(observation.unreadable)
    detail = f" ({unreadable})" if unreadable else ""
    reason = "nothing of this run can be observed: no state, heartbeat, process, log or checkpoint"
    return _Finding(Liveness.LOST, reason + detail)


def _judge_progress(observation: Observation, config: LimitConfig) -> _Finding:
    stage = _stage(observation)
    phase = phase_of(observation)
    beat = current_heartbeat(observation)
    step_s = beat.step_s if beat else None
    limit = limit_for(stage, phase, observation.history, config, step_s)
    age = progress_age(observation)
    if age is not None:
        trouble = _trouble(observation, limit, age)
        if trouble is not None:
            return trouble
    if stage != Stage.TRAIN:
        return _working(observation, stage, limit)
    return _training(observation, phase, limit, age)


def progress_age(observation: Observation) -> float | None:
    """Seconds since the run last got on; None where nothing was ever seen to move.

    In a stage that counts no iterations, bytes and log lines are progress as well.
    """
    ages = observation.ages
    age = ages.progress_s if ages.progress_s is not None else ages.stage_s
    if _stage(observation) == Stage.TRAIN:
        return age
    hints = (age, ages.log_s, ages.checkpoint_s, ages.written_s)
    return min((each for each in hints if each is not None), default=None)


def _trouble(observation: Observation, limit: Limit, age: float) -> _Finding | None:
    """`stalled`, `suspect`, `lost` (nothing but the keeper's word), or None while all is well."""
    quiet = activity_age(observation)
    absent = quiet is not None and quiet >= ABSENCE_S and age >= ABSENCE_S
    if age <= limit.seconds / 2 and not absent:
        return None
    flags = _flags(observation, proven=False)
    postponed = _powered(observation) or _power_unread(observation)
    patience = limit.seconds * (POWER_FACTOR if postponed else 1.0)
    past = age > patience and _may_stall(observation, limit) and not _disk_full(observation)
    if absent or past:
        return _Finding(Liveness.STALLED, _stall_reason(observation, limit, age), limit, flags)
    if _nothing_but_state(observation):
        if age <= limit.seconds:
            return None
        reason = f"no sign of the stage's process for {duration(age)}: no heartbeat, no log"
        return _Finding(Liveness.LOST, reason, limit)
    return _Finding(Liveness.SUSPECT, _suspect_reason(observation, limit, age), limit, flags)


def _may_stall(observation: Observation, limit: Limit) -> bool:
    """Only a process that is seen to live stalls, and silence needs a signal that was heard."""
    process = observation.process
    if process is None or not process.alive:
        return False
    if process.state in ("T", "t") or current_heartbeat(observation) is not None:
        return True
    return not observation.foreign and _never_got_on(observation, limit)


def _never_got_on(observation: Observation, limit: Limit) -> bool:
    """Our own stage was seen for longer than the limit, and nothing was proven in all that time."""
    stage_s, progress_s = observation.ages.stage_s, observation.ages.progress_s
    if stage_s is None or stage_s <= limit.seconds:
        return False
    return progress_s is None or progress_s >= stage_s


def _disk_full(observation: Observation) -> bool:
    """Where nothing can be written, a heartbeat's silence is the disk's, not the trainer's."""
    free = observation.machine.disk_free_bytes if observation.machine else None
    return free is not None and free < DISK_FULL_BYTES


def _nothing_but_state(observation: Observation) -> bool:
    silent = observation.heartbeat is None and observation.log is None
    return silent and observation.process is None


def _powered(observation: Observation) -> bool:
    """A GPU of its own that draws what it draws while training is at work on something."""
    watts, usual = observation.own_power_w, observation.history.power_median_w
    return watts is not None and usual is not None and watts >= POWER_SHARE * usual


def _power_unread(observation: Observation) -> bool:
    """The run has a GPU of its own, but what that draws now cannot be read."""
    gpus = observation.machine.gpus if observation.machine else ()
    unread = not any(gpu.age_s <= GPU_FRESH_S for gpu in gpus)
    return unread and observation.history.power_median_w is not None


def _stall_reason(observation: Observation, limit: Limit, age: float) -> str:
    return f"{_no_progress(observation, limit, age)}; {signature_of(observation)}"


def _suspect_reason(observation: Observation, limit: Limit, age: float) -> str:
    reason = _no_progress(observation, limit, age)
    if current_heartbeat(observation) is None:
        return f"{reason}; there is no heartbeat of this stage to go by"
    if age > limit.seconds and _powered(observation):
        return f"{reason}; its GPU draws as much power as when it trains"
    if age > limit.seconds and _disk_full(observation):
        return f"{reason}; the disk of the run is full, so it may be unable to say that it gets on"
    if age > limit.seconds and _power_unread(observation):
        return f"{reason}; whether its GPU is at work cannot be read now"
    return f"{reason}; {signature_of(observation)}"


def _no_progress(observation: Observation, limit: Limit, age: float) -> str:
    origin = "from its own pace" if limit.learnt else "not learnt yet"
    what = limit.name.replace("_", " ")
    bound = f"the {what} limit is {duration(limit.seconds)}, {origin}"
    where = f"in stage {observation.stage}" if limit.name == "stage" else _how_far(observation)
    return f"no progress for {duration(age)} ({bound}), {where}"


def _working(observation: Observation, stage: str, limit: Limit) -> _Finding:
    beat = current_heartbeat(observation)
    far = ""
    if beat is not None and beat.done is not None:
        total = f" of {beat.total}" if beat.total is not None else ""
        far = f", {beat.done}{total} {beat.unit}"
    age = progress_age(observation)
    ago = "" if age is None else f"; the last progress was {duration(age)} ago"
    return _Finding(Liveness.WORKING, f"stage {stage}{far}{ago}", limit)


def _training(
    observation: Observation, phase: Phase | None, limit: Limit, age: float | None
) -> _Finding:
    """Nothing is wrong: name what the trainer does."""
    flags = _flags(observation, proven=True)
    far = _how_far(observation)
    if phase in (Phase.SAVING, Phase.STOPPING):
        last = " before it stops" if phase is Phase.STOPPING else ""
        reason = f"saving{last} for {duration(observation.ages.phase_s or 0.0)}, {far}"
        return _Finding(Liveness.SAVING, reason, limit, flags)
    known = observation.ages.progress_s is not None and _has_trained(observation)
    # A checkpoint of an earlier attempt is no sign of this one.
    if phase is None and known and (observation.foreign or observation.attempt == 1):
        reason = f"{far}; no heartbeat, so its cadence is not known yet"
        return _Finding(Liveness.TRAINING, reason, limit, flags)
    if phase in (None, Phase.LOADING, Phase.FIRST_ITERATION):
        return _Finding(Liveness.STARTING, _starting_reason(phase), limit, flags)
    ago = "" if age is None else f" {duration(age)} ago"
    if Liveness.LOG_STUCK in flags:
        return _Finding(Liveness.LOG_STUCK, _stuck_reason(observation, ago), limit, flags)
    if Liveness.SLOW in flags:
        return _Finding(Liveness.SLOW, _slow_reason(observation), limit, flags)
    what = "evaluation began" if phase is Phase.EVALUATING else "the last progress was"
    return _Finding(Liveness.TRAINING, f"{far}; {what}{ago}", limit, flags)


def _starting_reason(phase: Phase | None) -> str:
    if phase is Phase.FIRST_ITERATION:
        return "the first iteration is under way; compiling can take minutes"
    if phase is Phase.LOADING:
        return "the trainer loads the model"
    return "the trainer starts; it has written no heartbeat yet"


def _has_trained(observation: Observation) -> bool:
    reading = observation.checkpoints
    return reading is not None and (reading.tracker is not None or bool(reading.checkpoints))


def _stuck_reason(observation: Observation, ago: str) -> str:
    silence = duration(observation.ages.log_s or 0.0)
    value, _, source = iteration_of(observation)
    return (
        f"{_how_far(observation)}; the log has been silent for {silence}, but by the {source} the "
        f"trainer reached iteration {value}{ago}: stdout is stuck, training is not"
    )


def _slow_reason(observation: Observation) -> str:
    history = observation.history
    causes = slow_causes(observation)
    because = "; ".join(causes) if causes else "no cause can be seen"
    return (
        f"{_how_far(observation)}; an iteration takes {history.step_recent_s or 0.0:.1f} s, "
        f"usually {history.step_median_s or 0.0:.1f} s: {because}"
    )


def _flags(observation: Observation, *, proven: bool) -> tuple[str, ...]:
    """`log-stuck` and `slow` need progress that is proven elsewhere."""
    flags: list[str] = []
    if _stage(observation) == Stage.TRAIN:
        if proven and _log_is_stuck(observation):
            flags.append(str(Liveness.LOG_STUCK))
        if proven and _is_slow(observation):
            flags.append(str(Liveness.SLOW))
        if phase_of(observation) is Phase.SAVING:
            flags.append(str(Liveness.SAVING))
    return tuple(flags)


def _log_is_stuck(observation: Observation) -> bool:
    """The log has a cadence of its own, and iterations went on without it."""
    history, silence = observation.history, observation.ages.log_s
    cadence = history.log_cadence_s
    if silence is None or cadence is None or history.log_growths < LEARNT_GROWTHS:
        return False
    unsaid = max(LOG_STUCK_ITERATIONS, 2 * history.log_gap_iterations)
    long = silence > max(LOG_SILENCE_FLOOR_S, SAFETY_FACTOR * cadence)
    return long and history.iterations_since_log >= unsaid


def _is_slow(observation: Observation) -> bool:
    history = observation.history
    recent, usual = history.step_recent_s, history.step_median_s
    if recent is None or usual is None or history.step_count < SLOW_STEPS:
        return False
    return phase_of(observation) is Phase.ITERATION and recent > SLOW_FACTOR * usual


def _stage(observation: Observation) -> str:
    beat = observation.heartbeat
    return observation.stage or (beat.stage if beat else Stage.TRAIN)


def _how_far(observation: Observation) -> str:
    value, _, _ = iteration_of(observation)
    beat = current_heartbeat(observation)
    total = observation.total
    if total is None and beat is not None and beat.stage == Stage.TRAIN:
        total = beat.total
    return iterations(value, total)
