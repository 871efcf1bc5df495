"""What a verdict says beside itself: log-stuck, slow, saving, disk-low. Pure.

The rule: a flag names a fact that is true whatever the verdict is; `log-stuck` and `slow` need
progress that is proven elsewhere (but see `liveness._is_far_behind`: slow at best, by a checkpoint
that does not come).
"""

from __future__ import annotations

from monitor.activity import held_back
from monitor.limits import SAFETY_FACTOR
from monitor.log_cadence import LEARNT_GROWTHS, LOG_SILENCE_FLOOR_S
from monitor.model import Liveness, Observation, Phase, Stage
from monitor.pace import remaining_saves
from monitor.standing import (
    is_mute,
    iteration_of,
    phase_of,
    save_interval_of,
    stage_of,
    total_of,
)

LOG_STUCK_ITERATIONS = 3
"""Fewer proven iterations may simply not have been worth a line."""
UNHEARD_S = 600.0
"""The least silence of a log whose cadence is not known."""
LANE_ITERATIONS = 100
"""Our own lanes say a line each iteration; a recipe of a patient person one in fifty."""
MEGATRON_ITERATIONS = 200
"""Twice Megatron's default of a line each 100 iterations."""
TRAINER_ITERATIONS = 1000
"""Twice the 500 of transformers' Trainer; of a short run half: then a log would be of no use."""
SLOW_FACTOR = 2.0
SLOW_STEPS = 20
"""Iterations before a run's own pace means something."""
DISK_LOW = "disk-low"
ROOM_FOR = 2
"""Checkpoints that the disk must have room for: a save is written beside the one before it."""
WRITTEN_LATER_S = 30.0
"""A checkpoint so much younger than the log's last word was made while the log was silent."""


def flags_of(observation: Observation, *, proven: bool) -> tuple[str, ...]:
    """Return the flags; *proven*: nothing speaks for a stall."""
    if stage_of(observation) != Stage.TRAIN:
        return ()
    found = {
        str(Liveness.LOG_STUCK): proven and is_log_stuck(observation),
        str(Liveness.SLOW): proven and is_slow(observation),
        str(Liveness.SAVING): phase_of(observation) is Phase.SAVING,
        DISK_LOW: is_disk_low(observation),
    }
    return tuple(flag for flag, is_true in found.items() if is_true)


def is_log_stuck(observation: Observation) -> bool:
    """Iterations went on without the log, beyond its cadence or past a holder that is seen."""
    history, silence = observation.history, silence_of(observation)
    if silence is None:
        return False
    if is_held_back(observation):
        by_log = is_mute(observation) and history.iteration_source == "log"
        proven = history.iterations_since_log > 0 and not by_log
        return silence > LOG_SILENCE_FLOOR_S and proven
    cadence = history.log_cadence_s
    if cadence is None or history.log_growths < LEARNT_GROWTHS:
        return _was_stuck_before(observation) or _says_nothing(observation, silence)
    unsaid = max(LOG_STUCK_ITERATIONS, 2 * history.log_gap_iterations)
    long = silence > max(LOG_SILENCE_FLOOR_S, SAFETY_FACTOR * cadence)
    return long and history.iterations_since_log >= unsaid


def silence_of(observation: Observation) -> float | None:
    """Seconds of the log's silence; at least the time of the watch where it never grew in it."""
    if observation.log is None:
        return None
    silence = observation.ages.log_s
    return observation.taken_at if silence is None else silence


def is_held_back(observation: Observation) -> bool:
    """Whoever ought to take what it writes is seen not to."""
    process = observation.process
    return process is not None and process.alive and held_back(process)


def _says_nothing(observation: Observation, silence: float) -> bool:
    """It has not spoken three times, and by now any trainer of its kind would have."""
    if silence <= UNHEARD_S:
        return False
    return observation.history.iterations_since_log >= _sensible_iterations(observation)


def _sensible_iterations(observation: Observation) -> int:
    """Twice the iterations that the trainer's own default leaves between two lines."""
    if not observation.foreign:
        return LANE_ITERATIONS
    reading = observation.checkpoints
    if reading is not None and reading.tracker is not None:
        return MEGATRON_ITERATIONS
    total = total_of(observation)
    half = TRAINER_ITERATIONS if total is None else total // 2
    return max(MEGATRON_ITERATIONS, min(TRAINER_ITERATIONS, half))


def is_slow(observation: Observation) -> bool:
    """It advances at less than half its own pace."""
    history = observation.history
    recent, usual = history.step_recent_s, history.step_median_s
    if is_mute(observation):  # between two lines of a log an evaluation or a save may lie
        recent = history.step_least_s
    if recent is None or usual is None or history.step_count < SLOW_STEPS:
        return False
    return phase_of(observation) is Phase.ITERATION and recent > SLOW_FACTOR * usual


def is_disk_low(observation: Observation) -> bool:
    """The disk will not hold the next checkpoints: each is taken to be as large as the last."""
    reading = observation.checkpoints
    last = reading.last_complete if reading else None
    if reading is None or reading.free_bytes is None or last is None or not last.size_bytes:
        return False
    coming = _saves_to_come(observation)
    if coming == 0:
        return False
    room = reading.free_bytes + (reading.writing_bytes or 0)
    return room < max(ROOM_FOR, coming) * last.size_bytes


def _saves_to_come(observation: Observation) -> int:
    """How many more will lie on the disk at once; 1 where nothing is known."""
    value, _, _ = iteration_of(observation)
    total, interval = total_of(observation), save_interval_of(observation)
    if value is None or total is None:
        return 1
    coming = remaining_saves(value, total, interval)
    if _rotates(observation, interval):
        return min(coming, 1)
    return coming


def _rotates(observation: Observation, interval: int | None) -> bool:
    """Old checkpoints are taken away as new ones come."""
    reading = observation.checkpoints
    if observation.keep_last:
        return True
    if reading is None or not reading.checkpoints or not interval:
        return False
    there = reading.checkpoints
    return there[-1].iteration // interval > len(there)


def _was_stuck_before(observation: Observation) -> bool:
    """A foreign run's log was silent already when the watch began, and a checkpoint came later."""
    said, log, reading = observation.log_progress, observation.log, observation.checkpoints
    last = reading.last_complete if reading else None
    if not is_mute(observation) or said is None or said.iteration is None:
        return False
    if log is None or last is None or observation.ages.log_s is not None:
        return False
    unsaid = max(LOG_STUCK_ITERATIONS, 2 * said.every) if said.every else None
    written_later = last.modified_wall > log.modified_wall + WRITTEN_LATER_S
    return written_later and last.iteration - said.iteration >= (
        unsaid or _sensible_iterations(observation)
    )
