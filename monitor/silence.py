"""How long a run has not got on, and whether that is too long. Pure.

The rule: time since progress against the limit of the stage and phase (rules 1 and 2 of the
design). Only a process that is seen to live stalls; power postpones it, nothing hastens it but the
lasting absence of all activity.
"""

from __future__ import annotations

from monitor.facts import GPU_FRESH_S, gpus_of
from monitor.finding import Finding
from monitor.limits import (
    ABSENCE_S,
    EARLY_PATIENCE,
    LATELY_S,
    POWER_FACTOR,
    POWER_SHARE,
    Limit,
)
from monitor.model import Liveness, Observation, Phase, Stage
from monitor.signatures import Signature, is_slowed, sign_of
from monitor.standing import current_heartbeat, how_far, phase_of, stage_of
from monitor.words import duration

DISK_FULL_BYTES = 1 << 20
"""With less room a trainer on a copy-on-write file system cannot rewrite its heartbeat."""


def progress_age(observation: Observation) -> float | None:
    """Seconds since the run last got on; None where nothing was ever seen to move.

    In a stage that counts no iterations, bytes and log lines are progress as well.
    """
    ages = observation.ages
    age = ages.progress_s if ages.progress_s is not None else ages.stage_s
    if stage_of(observation) == Stage.TRAIN:
        return age
    hints = (age, ages.log_s, ages.checkpoint_s, ages.written_s)
    return min((each for each in hints if each is not None), default=None)


def save_age(observation: Observation, age: float) -> float:
    """Seconds of the save's clock: while its folder grows the save gets on."""
    grew = observation.ages.writing_s
    saving = phase_of(observation) in (Phase.SAVING, Phase.STOPPING)
    return age if grew is None or not saving else min(age, grew)


IDLE_AGAINST_S = 90.0
"""Without CPU time for so long a run has a sign against it; a pause between steps is none."""


def activity_age(observation: Observation) -> float | None:
    """Seconds since anything at all was used or written.

    None while CPU time is not known, or when a signal that was known cannot be read now: the
    silence is ours then, not the trainer's.
    """
    ages, process = observation.ages, observation.process
    if process is None or not process.alive or process.cpu_s is None or ages.cpu_s is None:
        return None
    if ages.written_s is not None and process.written_bytes is None:
        return None
    gpus = gpus_of(observation.machine, process)
    if ages.gpu_s is not None and not any(gpu.age_s <= GPU_FRESH_S for gpu in gpus):
        return None
    known = (ages.cpu_s, ages.written_s, ages.gpu_s, ages.log_s, ages.checkpoint_s)
    return min(age for age in known if age is not None)


def is_absent(observation: Observation, age: float) -> bool:
    """Rule 1: nothing was used or written, and nothing got on, for ten minutes."""
    quiet = activity_age(observation)
    return quiet is not None and quiet >= ABSENCE_S and age >= ABSENCE_S


def patience(observation: Observation, limit: Limit) -> float:
    """Times the limit: a run that is at work as usual is at work on something.

    What is at work is its own GPU at its usual power or, where no such power can be read, the
    process at its usual CPU use: nothing else tells an iteration twelve times as long from a hang.
    """
    if sign_of(observation).signature is Signature.GPU_LOST:
        return 1.0
    if is_powered(observation, limit) or is_power_unread(observation):
        return POWER_FACTOR
    if is_computing(observation, limit):
        return POWER_FACTOR
    return EARLY_PATIENCE if _may_be_early(observation, limit) else 1.0


def _may_be_early(observation: Observation, limit: Limit) -> bool:
    """It uses the CPU, and neither its pace nor what it draws at work is learnt yet."""
    if limit.name != "iteration" or limit.learnt or is_power_known(observation):
        return False
    idle_s = observation.ages.cpu_s
    return idle_s is not None and idle_s < IDLE_AGAINST_S and not is_excluded(observation)


def is_power_known(observation: Observation) -> bool:
    """What its own GPU draws now can be held against what it drew at work.

    At a low clock (heat, a stuck power state) it draws little and works nevertheless.
    """
    known = observation.history.power_median_w is not None and observation.own_power_w is not None
    return known and not is_slowed(observation)


def is_computing(observation: Observation, limit: Limit) -> bool:
    """It uses the CPU as it did while it trained, and no power of its own GPU tells more."""
    lately = observation.ages.computing_s
    if lately is None or lately > limit.seconds or is_power_known(observation):
        return False
    return not is_excluded(observation)


def is_excluded(observation: Observation) -> bool:
    """A sign that is seen excludes progress; CPU use alone, which a hang has too, is none."""
    sign = sign_of(observation).signature
    if sign in (Signature.IDLE_DEADLOCK, Signature.BLOCKED_IO):
        idle_s = observation.ages.cpu_s
        return idle_s is None or idle_s >= IDLE_AGAINST_S
    return sign not in _NO_OBSTACLE


_NO_OBSTACLE = frozenset(
    {None, Signature.SPINNING, Signature.POWER_STATE, Signature.THERMAL, Signature.CONTENTION}
)
"""What a run looks like that may get on, if slowly."""


def trouble(observation: Observation, limit: Limit, age: float) -> Finding | None:
    """`stalled`, `suspect`, `lost` (nothing but the keeper's word), or None while all is well."""
    age = save_age(observation, age)
    absent = is_absent(observation, age)
    if age <= limit.seconds / 2 and not absent:
        return None
    sign = sign_of(observation)
    past = age > limit.seconds * patience(observation, limit) and _may_stall(observation, limit)
    excused = is_disk_full(observation) or is_told_of(observation, limit)
    if absent or (past and not excused):
        reason = f"{no_progress(observation, limit, age)}; {sign.words}"
        return Finding(Liveness.STALLED, reason, limit, sign.signature)
    if _nothing_but_state(observation):
        if age <= limit.seconds:
            return None
        reason = f"no sign of the stage's process for {duration(age)}: no heartbeat, no log"
        return Finding(Liveness.LOST, reason, limit)
    reason = no_progress(observation, limit, age)
    if current_heartbeat(observation) is None:
        reason += "; there is no heartbeat of this stage to go by"
        return Finding(Liveness.SUSPECT, reason, limit, sign.signature)
    # Rule 6: what draws as much as at work is not said to spin.
    works = sign.signature is Signature.SPINNING and _draws_as_usual(observation)
    doubted = age > limit.seconds or is_told_of(observation, limit) or works
    doubt = doubt_of(observation, limit) if doubted else None
    signature = None if works else sign.signature
    return Finding(Liveness.SUSPECT, f"{reason}; {doubt or sign.words}", limit, signature)


def no_progress(observation: Observation, limit: Limit, age: float) -> str:
    """Say for how long, against which limit, and how far the run is."""
    origin = "from its own pace" if limit.learnt else "not learnt yet"
    what = limit.name.replace("_", " ")
    bound = f"the {what} limit is {duration(limit.seconds)}, {origin}"
    where = f"in stage {observation.stage}" if limit.name == "stage" else how_far(observation)
    return f"no progress for {duration(age)} ({bound}), {where}"


def doubt_of(observation: Observation, limit: Limit) -> str | None:
    """Why a run that is past its limit is not called stalled."""
    if is_told_of(observation, limit):
        said = observation.log_progress
        told = said.iteration if said else None
        ago = duration(observation.ages.log_iteration_s or 0.0)
        return f"yet its log told of iteration {told} {ago} ago: can it write its heartbeat?"
    if is_powered(observation, limit):
        return "its GPU draws as much power as when it trains"
    if is_disk_full(observation):
        return "the disk of the run is full, so it may be unable to say that it gets on"
    if is_power_unread(observation):
        return "whether its GPU is at work cannot be read now"
    if limit.name != "cadence" and is_computing(observation, limit):
        return "it uses as much CPU time as when it trains, and no power of its own GPU tells more"
    return None


def is_disk_full(observation: Observation) -> bool:
    """Where nothing can be written, a heartbeat's silence is the disk's, not the trainer's."""
    free = observation.machine.disk_free_bytes if observation.machine else None
    return free is not None and free < DISK_FULL_BYTES


def is_told_of(observation: Observation, limit: Limit) -> bool:
    """Its log goes on to iterations beyond the heartbeat's, which it may be unable to write."""
    beat, said = current_heartbeat(observation), observation.log_progress
    told_s = observation.ages.log_iteration_s
    if beat is None or beat.stage != Stage.TRAIN or told_s is None or told_s > limit.seconds:
        return False
    return said is not None and (said.iteration or 0) > (beat.done or 0)


def is_powered(observation: Observation, limit: Limit) -> bool:
    """A GPU of its own that draws what it draws while training is at work on something.

    One reading says little, a GB10 at work was seen to draw 45 W and 20 W either way: it is at
    work no more once it has drawn little for as long as the limit.
    """
    if observation.own_power_w is None or observation.history.power_median_w is None:
        return False
    lately = observation.ages.powered_s
    most = min(limit.seconds, LATELY_S) if limit.name == "cadence" else limit.seconds
    return _draws_as_usual(observation) or (lately is not None and lately <= most)


def _draws_as_usual(observation: Observation) -> bool:
    watts, usual = observation.own_power_w, observation.history.power_median_w
    return watts is not None and usual is not None and watts >= POWER_SHARE * usual


def is_power_unread(observation: Observation) -> bool:
    """The run has a GPU of its own, but what that draws now cannot be read."""
    gpus = observation.machine.gpus if observation.machine else ()
    unread = not any(gpu.age_s <= GPU_FRESH_S for gpu in gpus)
    return unread and observation.history.power_median_w is not None


def never_got_on(observation: Observation, limit: Limit) -> bool:
    """Our own stage was seen for longer than the limit, and nothing was proven in all that time."""
    stage_s, progress_s = observation.ages.stage_s, observation.ages.progress_s
    if observation.foreign or stage_s is None or stage_s <= limit.seconds:
        return False
    return progress_s is None or progress_s >= stage_s


def _may_stall(observation: Observation, limit: Limit) -> bool:
    """Only a process that is seen to live stalls, and silence needs a signal that was heard."""
    process = observation.process
    if process is None or not process.alive:
        return False
    if process.state in ("T", "t") or current_heartbeat(observation) is not None:
        return True
    return never_got_on(observation, limit)


def _nothing_but_state(observation: Observation) -> bool:
    silent = observation.heartbeat is None and observation.log is None
    return silent and observation.process is None
