"""A run without a heartbeat (rule 3): judge it by the cadence of its checkpoints. Pure.

The rule: what is not seen to be overdue is not stalled. Overdue is the next checkpoint, by the pace
that the log told or by the checkpoints before it; or a state that excludes progress lasts too
long. Log silence alone is at most `suspect`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from monitor.finding import Finding
from monitor.limits import (
    JUMP_FACTOR,
    LONGEST_WAIT_S,
    SAFETY_FACTOR,
    Limit,
    LimitConfig,
    limit_for,
)
from monitor.model import History, Liveness, Observation, Phase, Stage
from monitor.signatures import Signature, is_slowed, sign_of, spins
from monitor.silence import (
    IDLE_AGAINST_S,
    doubt_of,
    is_absent,
    is_disk_full,
    is_excluded,
    is_power_known,
    is_power_unread,
    is_powered,
    never_got_on,
    no_progress,
    patience,
)
from monitor.standing import (
    how_far,
    iteration_of,
    next_save,
    phase_of,
    save_interval_of,
    saved_of,
    total_of,
)
from monitor.words import duration

PACE_STEPS = 10
"""Iterations that the log must have told of before its pace is believed."""
SUSPECT_SHARE = 0.15
STALLED_SHARE = 0.5
"""Of a cadence, by which the next checkpoint may be overdue."""
UNEVEN = 1.5
"""Share by which a single iteration may be slower than the usual ones."""
GAP_SHARE = 1.2
"""Times the longest time that the log took to the next iteration: an evaluation lay in it."""
SAVES_WAIT = 1.5
"""Times what the first checkpoint took: the second may take as long before it is missed."""
UNSEEN_SHARE = 1.5
"""Of a save interval: so many iterations without a checkpoint, and we look in a wrong place."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often a checkpoint comes, and how long after the last progress the next one is due."""

    seconds: float
    due_s: float
    iterations: int
    """From the last progress to the next checkpoint."""
    interval: int
    """Iterations from one checkpoint to the next."""
    usual_s: float
    """As `due_s`, at the best pace that was seen."""


def cadence_of(observation: Observation) -> Cadence | None:
    """Return the cadence; None where it is not known yet or no checkpoint is to come."""
    history = observation.history
    value, _, source = iteration_of(observation)
    interval, pace = save_interval_of(observation), pace_of(history)
    gap, least = history.checkpoint_gap_s, history.checkpoint_gap_least_s
    if not observation.saves_visible or _all_done(observation, value):
        return None
    if interval is None or pace is None:
        count = interval or 1
        return None if gap is None else Cadence(gap, gap, count, count, min(least or gap, gap))
    if _looks_elsewhere(observation, value, interval):
        return None
    cadence = max(interval * pace, gap or 0.0)
    usual = min(interval * (history.pace_s or pace), least or cadence)
    due = next_save(observation, value) if value is not None else None
    if due is None or value is None or source != "log":
        return Cadence(cadence, cadence, interval, interval, usual)
    left = max(0, due - value)
    return Cadence(cadence, min(cadence, left * pace), left, interval, usual * left / interval)


def pace_of(history: History) -> float | None:
    """Seconds an iteration takes by the log, the slower of all along and of late."""
    if history.pace_s is None or history.pace_count < PACE_STEPS:
        return None
    return max(history.pace_s, history.step_recent_s or 0.0)


def trouble_without_heartbeat(
    observation: Observation, config: LimitConfig, age: float
) -> Finding | None:
    """`stalled` or `suspect` by rule 3, or None while nothing speaks for either."""
    limit = limit_for(Stage.TRAIN, phase_of(observation), observation.history, config)
    absent = is_absent(observation, age)
    found = _excluded(observation, config, limit, age)
    if absent and (found is None or found.liveness is not Liveness.STALLED):
        found = _verdict(observation, Liveness.STALLED, limit, age, "nothing at all is used")
    if found is None and never_got_on(observation, limit):
        found = _own_silence(observation, limit, age)
    if found is None and _is_written(observation, config):
        return None
    return (
        found
        or _overdue(observation, config, limit, age)
        or _silent(observation, config, limit, age)
    )


def cadence_words(observation: Observation, age: float | None) -> str:
    """Say how often a checkpoint comes and when the next one is due."""
    cadence = cadence_of(observation)
    if cadence is None:
        value, _, _ = iteration_of(observation)
        if _all_done(observation, value):
            return "every iteration is done"
        interval = save_interval_of(observation)
        if interval and pace_of(observation.history) and observation.saves_visible:
            return "no checkpoint has come where one was due: are they written elsewhere?"
        return "no heartbeat, and no cadence known yet"
    left = cadence.due_s - (age or 0.0)
    when = f"due in {duration(left)}" if left >= 0 else f"overdue by {duration(-left)}"
    return f"a checkpoint comes every {duration(cadence.seconds)}, the next is {when}"


def _all_done(observation: Observation, value: int | None) -> bool:
    total = total_of(observation)
    return total is not None and value is not None and value >= total


def _looks_elsewhere(observation: Observation, value: int | None, interval: int) -> bool:
    """The log passed a save, and no checkpoint came where we look."""
    if value is None:
        return False
    return value - (saved_of(observation) or 0) >= UNSEEN_SHARE * interval


def _excluded(
    observation: Observation, config: LimitConfig, phase_limit: Limit, age: float
) -> Finding | None:
    """A stopped process gets nowhere, nor does one that a full pipe or a dead disk holds."""
    process, held_s = observation.process, observation.ages.excluded_s
    if process is None or not process.alive or held_s is None:
        return None
    limit = limit_for(Stage.TRAIN, Phase.ITERATION, observation.history, config)
    if process.state == "D" and phase_limit.seconds > limit.seconds:
        limit = phase_limit  # whoever loads or saves waits for its disk
    lasted = min(held_s, age)
    if lasted <= limit.seconds / 2:
        return None
    liveness = Liveness.STALLED if lasted > limit.seconds else Liveness.SUSPECT
    return _verdict(observation, liveness, limit, age, f"held for {duration(held_s)}")


def _is_written(observation: Observation, config: LimitConfig) -> bool:
    """A checkpoint grows: the next one is on its way, and nobody logs an iteration meanwhile."""
    grew = observation.ages.writing_s
    save = limit_for(Stage.TRAIN, Phase.SAVING, observation.history, config)
    saving = phase_of(observation) is Phase.SAVING
    return saving and grew is not None and grew <= save.seconds / 2


def _own_silence(observation: Observation, limit: Limit, age: float) -> Finding | None:
    """A trainer of ours writes a heartbeat as it starts: one that never did has not started."""
    process = observation.process
    if process is None or not process.alive or age <= limit.seconds * patience(observation, limit):
        return None
    return _verdict(observation, Liveness.STALLED, limit, age, "it has never written a heartbeat")


def _overdue(
    observation: Observation, config: LimitConfig, phase_limit: Limit, age: float
) -> Finding | None:
    """The next checkpoint is overdue, for longer than the phase alone would explain."""
    cadence = cadence_of(observation)
    if cadence is None:
        return None
    save = limit_for(Stage.TRAIN, Phase.SAVING, observation.history, config).seconds
    once = _excuse(observation, phase_limit)
    if age <= max(cadence.due_s + SUSPECT_SHARE * cadence.seconds, once / 2):
        return None
    most = max(cadence.due_s + STALLED_SHARE * cadence.seconds + save, once)
    limit = Limit("cadence", most, learnt=True)
    late = duration(max(0.0, age - cadence.due_s))
    overdue = f"a checkpoint comes every {duration(cadence.seconds)}, the next is {late} overdue"
    process = observation.process
    living = process is not None and process.alive
    grew = observation.ages.writing_s
    grows = grew is not None and grew <= save
    past = age > _longest(observation, config, limit, cadence) and not grows
    if living and past and not is_disk_full(observation):
        return _verdict(observation, Liveness.STALLED, limit, age, overdue)
    if age <= GAP_SHARE * (observation.history.log_gap_s or 0.0):
        return None
    if grows:
        return _doubted(observation, limit, age, f"{overdue}, and it is being written")
    doubt = doubt_of(observation, limit) if age > most else None
    if may_get_on(observation, limit):
        doubt = doubt or (None if is_slowed(observation) else _only_time(observation))
        doubt = f"{overdue}; {doubt}" if doubt else None
    return _doubted(observation, limit, age, doubt or overdue)


def _only_time(observation: Observation) -> str:
    """Why nothing but time can tell whether it hangs, and what would help the next time."""
    seen = "nothing but its checkpoints can be seen"
    if observation.log is not None:
        seen = "with its log silent nothing but its checkpoints can be seen"
    return f"{seen}, so only time can tell: give it a heartbeat or a log of each iteration"


def may_get_on(observation: Observation, limit: Limit) -> bool:
    """Nothing that is seen speaks against it: it looks as one that trains slowly would look."""
    if sign_of(observation).signature is Signature.GPU_LOST:
        return False
    if is_powered(observation, limit) or is_power_unread(observation):
        return True
    if is_power_known(observation):
        return False
    seen = observation.process is not None and observation.ages.cpu_s is not None
    return seen and not is_excluded(observation)


def _longest(
    observation: Observation, config: LimitConfig, limit: Limit, cadence: Cadence
) -> float:
    """Seconds after which it is stalled, at work on something or not.

    A run that nothing speaks against may have slowed down, with an evaluation in between: it is
    given the time in which the slowest that was seen would have come to its checkpoint. None is
    waited for longer than a day, unless its checkpoints are due so seldom.
    """
    most = max(LONGEST_WAIT_S, cadence.due_s + SUSPECT_SHARE * cadence.seconds)
    if not may_get_on(observation, limit):
        return min(limit.seconds, most)
    evaluation = limit_for(Stage.TRAIN, Phase.EVALUATING, observation.history, config).seconds
    save = limit_for(Stage.TRAIN, Phase.SAVING, observation.history, config).seconds
    return min(max(limit.seconds, _slowest_s(cadence) + save) + evaluation, most)


def _slowest_s(cadence: Cadence) -> float:
    """Until the next checkpoint at a twelfth of the best pace, one iteration at one of the present.

    The fewer iterations lie between, the further their times may lie from the usual.
    """
    uneven = 1.0 + UNEVEN / math.sqrt(max(1, cadence.iterations))
    paced = JUMP_FACTOR * cadence.usual_s * uneven
    return paced + JUMP_FACTOR * cadence.seconds / max(1, cadence.interval)


def _excuse(observation: Observation, phase_limit: Limit) -> float:
    """What the phase that log and folders hint at may take; nothing while it iterates."""
    phase = phase_of(observation)
    if phase in (None, Phase.ITERATION, Phase.STOPPING):
        return 0.0
    since = observation.ages.hint_s
    progress = observation.ages.progress_s
    # The phase began after the last progress: its limit counts from its own beginning.
    later = 0.0 if since is None or progress is None else max(0.0, progress - since)
    return phase_limit.seconds + later


def _silent(
    observation: Observation, config: LimitConfig, limit: Limit, age: float
) -> Finding | None:
    """The log said an iteration at a steady pace and says none any more."""
    said_s, gap = observation.ages.log_iteration_s, observation.history.log_gap_s
    value, _, source = iteration_of(observation)
    if _all_done(observation, value):
        return _lingers(observation, config, age)
    if pace_of(observation.history) is not None and gap is not None and source == "log":
        usual = Limit("log", max(SAFETY_FACTOR * gap, 60.0), learnt=True)
        most = max(usual.seconds, _excuse(observation, limit) / 2)
        if said_s is None or min(said_s, age) <= most:
            return None
        words = f"the log is silent, {cadence_words(observation, age)}"
        return _doubted(observation, usual, age, words)
    if observation.foreign:  # it may save once an hour and say nothing
        limit = limit_for(Stage.TRAIN, Phase.LOADING, observation.history, config)
    long = limit.seconds if observation.foreign else limit.seconds / 2
    long = max(long, SAVES_WAIT * (observation.history.checkpoint_wait_s or 0.0))
    if cadence_of(observation) is not None or age <= long:
        return None
    return _doubted(observation, limit, age, cadence_words(observation, age))


def _lingers(observation: Observation, config: LimitConfig, age: float) -> Finding | None:
    """Every iteration is done, and its process goes on: it may work on, nothing tells."""
    limit = Limit("log", limit_for(Stage.MERGE, None, observation.history, config).seconds)
    if age <= limit.seconds:
        return None
    words = "every iteration is done and its process goes on: it may evaluate, merge or hang"
    return _doubted(observation, limit, age, words)


def _doubted(observation: Observation, limit: Limit, age: float, words: str) -> Finding:
    """Suspect for want of a sign of life alone: what a busy run looks like is no signature."""
    found = _verdict(observation, Liveness.SUSPECT, limit, age, words)
    if not _looks_busy(observation, found.signature):
        return found
    reason = found.reason.removesuffix(f"; {sign_of(observation).words}")
    return replace(found, reason=reason, signature=None)


def _looks_busy(observation: Observation, signature: str | None) -> bool:
    """It uses the CPU, or did a moment ago: an evaluation that nothing tells of looks like that."""
    idle_s = observation.ages.cpu_s
    if signature == Signature.IDLE_DEADLOCK:
        return idle_s is not None and idle_s < IDLE_AGAINST_S
    return signature == Signature.SPINNING and not spins(observation)


def _verdict(
    observation: Observation, liveness: Liveness, limit: Limit, age: float, words: str
) -> Finding:
    sign = sign_of(observation)
    if limit.name in ("cadence", "log"):
        reason = f"no progress for {duration(age)}, {how_far(observation)}"
    else:
        reason = no_progress(observation, limit, age)
    return Finding(liveness, f"{reason}; {words}; {sign.words}", limit, sign.signature)
