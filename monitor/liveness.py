"""Decide whether a run is alive, and say why. Pure: the same observation, the same verdict.

The one rule: progress decides, and missing signals never make a stall. Precedence is `ended`, then
proven progress, then saving and working, then suspect and stalled, then lost. Heartbeat, tracker
and finished checkpoints are progress; CPU time, utilisation and power only name a stall's looks.

The rules themselves: `monitor.endings`, `monitor.silence` (1 and 2), `monitor.cadence` (3),
`monitor.signatures` (6), `monitor.flags`.
"""

from __future__ import annotations

from monitor.cadence import cadence_words, trouble_without_heartbeat
from monitor.endings import ended, gone, unobservable
from monitor.evidence import evidence_of
from monitor.finding import Finding
from monitor.flags import flags_of
from monitor.limits import Limit, LimitConfig, limit_for
from monitor.loss import loss_flags, with_loss
from monitor.model import FINAL, Liveness, Observation, Phase, Stage, Verdict
from monitor.signatures import holder_of, slow_sign_of
from monitor.silence import progress_age, trouble
from monitor.standing import (
    current_heartbeat,
    how_far,
    is_mute,
    iteration_of,
    phase_of,
    stage_of,
)
from monitor.words import counted, duration

TROUBLE = frozenset({Liveness.SUSPECT, Liveness.STALLED})
HELD_STEPS = 3
"""Iterations without progress after which a trainer that is held in a write is not training."""
FAR_BEHIND = 2.0
"""Times the limit of its cadence: at best it is at a third of its own pace."""
_SPEAKS_OF_STARTING = (None, Phase.LOADING, Phase.FIRST_ITERATION)


def judge(observation: Observation, config: LimitConfig) -> Verdict:
    """Return the verdict that *observation* supports, with all of its evidence."""
    finding = (
        ended(observation)
        or unobservable(observation)
        or gone(observation)
        or _judge_progress(observation, config)
    )
    value, error, source = iteration_of(observation)
    return Verdict(
        liveness=finding.liveness,
        reason=with_loss(finding.reason, observation.history),
        flags=(*_flags(observation, finding), *loss_flags(observation.history)),
        evidence=evidence_of(observation, finding.liveness, finding.limit),
        iteration=value,
        iteration_error=error,
        iteration_source=source,
        limit_s=finding.limit.seconds if finding.limit else None,
        signature=finding.signature,
    )


def _flags(observation: Observation, finding: Finding) -> tuple[str, ...]:
    if finding.liveness in FINAL or finding.liveness is Liveness.LOST:
        return ()
    flags = flags_of(observation, proven=finding.liveness not in TROUBLE)
    return (*flags, str(Liveness.SLOW)) if _is_far_behind(observation, finding) else flags


def _is_far_behind(observation: Observation, finding: Finding) -> bool:
    """It is slow at best: of what only time can tell, somebody is told before that time is over."""
    limit, age = finding.limit, progress_age(observation)
    if finding.liveness is not Liveness.SUSPECT or limit is None or limit.name != "cadence":
        return False
    return age is not None and age > FAR_BEHIND * limit.seconds


def _judge_progress(observation: Observation, config: LimitConfig) -> Finding:
    stage, phase = stage_of(observation), phase_of(observation)
    beat = current_heartbeat(observation)
    limit = limit_for(stage, phase, observation.history, config, beat.step_s if beat else None)
    age = progress_age(observation)
    if age is not None:
        by_cadence = is_mute(observation) and _is_seen(observation)
        found = (
            trouble_without_heartbeat(observation, config, age)
            if by_cadence
            else trouble(observation, limit, age)
        )
        if found is not None:
            return found
    if stage != Stage.TRAIN:
        return _working(observation, stage, limit)
    return _training(observation, phase, limit, age)


def _is_seen(observation: Observation) -> bool:
    """More of it than the keeper's word."""
    return observation.foreign or observation.process is not None or observation.log is not None


def _working(observation: Observation, stage: str, limit: Limit) -> Finding:
    beat = current_heartbeat(observation)
    far = ""
    if beat is not None and beat.done is not None:
        far = f", {counted(beat.done, beat.total, beat.unit)}"
    age = progress_age(observation)
    ago = "" if age is None else f"; the last progress was {duration(age)} ago"
    return Finding(Liveness.WORKING, f"stage {stage}{far}{ago}", limit)


def _training(
    observation: Observation, phase: Phase | None, limit: Limit, age: float | None
) -> Finding:
    """Nothing is wrong: name what the trainer does."""
    flags = flags_of(observation, proven=True)
    if phase in (Phase.SAVING, Phase.STOPPING):
        last = " before it stops" if phase is Phase.STOPPING else ""
        reason = f"saving{last} for {duration(_phase_age(observation))}, {how_far(observation)}"
        return Finding(Liveness.SAVING, reason, limit)
    if phase in _SPEAKS_OF_STARTING:
        return Finding(Liveness.STARTING, _starting_reason(observation, phase), limit)
    if Liveness.LOG_STUCK in flags:
        holder = holder_of(observation)
        signature = holder.signature if holder else None
        return Finding(Liveness.LOG_STUCK, _stuck_reason(observation, age), limit, signature)
    if Liveness.SLOW in flags:
        sign = slow_sign_of(observation)
        reason = f"{how_far(observation)}; {_slow_words(observation)}: {sign.words}"
        return Finding(Liveness.SLOW, reason, limit, sign.signature)
    return Finding(Liveness.TRAINING, _training_reason(observation, phase, age), limit)


def _training_reason(observation: Observation, phase: Phase | None, age: float | None) -> str:
    far = how_far(observation)
    if phase is Phase.EVALUATING:
        return f"{far}; evaluation began {duration(_phase_age(observation))} ago"
    if not is_mute(observation):
        return f"{far}; the last progress was{_ago(age)}"
    value, _, source = iteration_of(observation)
    if value is None:
        return f"{_unread_words(observation)}; {cadence_words(observation, age)}"
    seen = observation.ages.progress_s
    proven = f" by the {source}" if source else ""
    when = f"{_ago(seen)}" if seen is not None else ", nothing has advanced since the watch began"
    return f"{far}{proven}{when}; {cadence_words(observation, age)}"


def _unread_words(observation: Observation) -> str:
    """It trains, yet nothing counts its iterations: say what is known instead."""
    said = observation.log_progress
    figures = [("epoch", said.epoch), ("loss", said.loss)] if said else []
    known = ", ".join(f"{name} {value:g}" for name, value in figures if value is not None)
    where = "its log" if observation.log is not None else "a log, none is known"
    words = f"no iteration can be read from {where}" + (f" ({known})" if known else "")
    seen = observation.ages.progress_s
    return words if seen is None else f"{words}; the last sign of progress was {duration(seen)} ago"


def _phase_age(observation: Observation) -> float:
    ages = observation.ages
    since = ages.hint_s if is_mute(observation) else ages.phase_s
    return since or 0.0


def _ago(age: float | None) -> str:
    return "" if age is None else f" {duration(age)} ago"


def _starting_reason(observation: Observation, phase: Phase | None) -> str:
    value, _, source = iteration_of(observation)
    before = f"; by the {source} iteration {value} was reached before" if value else ""
    return _starting_words(observation, phase) + before


def _starting_words(observation: Observation, phase: Phase | None) -> str:
    if phase is Phase.FIRST_ITERATION:
        return "the first iteration is under way; compiling can take minutes"
    if phase is Phase.LOADING:
        return "the trainer loads the model"
    if observation.foreign:
        return "no iteration is seen yet, neither in its log nor as a checkpoint"
    return "the trainer starts; it has written no heartbeat yet"


def _stuck_reason(observation: Observation, age: float | None) -> str:
    silence = observation.ages.log_s
    value, error, source = iteration_of(observation)
    lasting = "since the watch began" if silence is None else f"for {duration(silence)}"
    beyond = f", now up to {value + error}" if value is not None and error else ""
    reached = f"iteration {value}{_ago(age)}{beyond}"
    reason = (
        f"{how_far(observation)}; the log has been silent {lasting}, but by the {source} the "
        f"trainer reached {reached}: {_held_words(observation, age)}"
    )
    holder = holder_of(observation)
    return f"{reason}; {holder.words}" if holder else reason


def _held_words(observation: Observation, age: float | None) -> str:
    """Whether training goes on: not for long once the trainer is held in its own write."""
    process, step_s = observation.process, observation.history.step_median_s
    pipe = process.pipe if process is not None else None
    if pipe is not None and pipe.writer_blocked and step_s and (age or 0.0) > HELD_STEPS * step_s:
        return "the trainer waits in its write: it has stopped or will within 64 KiB"
    return "stdout is stuck, training is not"


def _slow_words(observation: Observation) -> str:
    history = observation.history
    return (
        f"an iteration takes {history.step_recent_s or 0.0:.1f} s, "
        f"usually {history.step_median_s or 0.0:.1f} s"
    )
