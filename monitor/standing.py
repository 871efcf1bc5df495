"""Where a run stands: its stage, phase and iteration, and how sure each of them is. Pure.

The rule: the heartbeat's word counts before what log and folders hint at, and an iteration is shown
with how many more are possible since it was proven.
"""

from __future__ import annotations

from itertools import pairwise

from monitor.model import Heartbeat, Observation, Phase, Stage
from monitor.words import iterations

WRITING_S = 120.0
"""A checkpoint that has not grown for so long is not being written any more."""
BEFORE_TRAINING = (Phase.LOADING, Phase.FIRST_ITERATION)
OUTDATED_S = 5.0
"""A checkpoint that came so much later than the log's last word makes that word old."""


def stage_of(observation: Observation) -> str:
    """The stage that the keeper names, else the heartbeat's; a foreign run trains."""
    beat = observation.heartbeat
    return observation.stage or (beat.stage if beat else Stage.TRAIN)


def current_heartbeat(observation: Observation) -> Heartbeat | None:
    """The heartbeat if the present attempt and stage wrote it."""
    beat = observation.heartbeat
    if beat is None or beat.attempt != observation.attempt:
        return None
    if observation.stage is not None and beat.stage != observation.stage:
        return None
    return beat


def is_mute(observation: Observation) -> bool:
    """It trains and has written no heartbeat: log and checkpoints are all there is."""
    return stage_of(observation) == Stage.TRAIN and current_heartbeat(observation) is None


def phase_of(observation: Observation) -> Phase | None:
    """What the trainer does now; None where nothing tells."""
    beat = current_heartbeat(observation)
    if beat is None:
        return _hinted_phase(observation) if is_mute(observation) else None
    try:
        return Phase(beat.phase)
    except ValueError:  # a word of another lane: judge it by what it has done
        return Phase.ITERATION if beat.done else Phase.LOADING


def iteration_of(observation: Observation) -> tuple[int | None, int, str | None]:
    """Return the proven iteration, how many more are possible, and the signal that proves it."""
    beat = current_heartbeat(observation)
    if beat is not None and beat.stage == Stage.TRAIN and beat.done is not None:
        return beat.done, 0, "heartbeat"
    history = observation.history
    value, source = history.iteration, history.iteration_source
    if value is None or not is_mute(observation):
        value, source = _from_folder(observation)
    if value is None:
        return None, 0, None
    return value, _possible(observation, value), source


def total_of(observation: Observation) -> int | None:
    """Iterations expected: from the recipe, else as the trainer itself says."""
    beat, said = current_heartbeat(observation), observation.log_progress
    if observation.total is not None:
        return observation.total
    if beat is not None:
        return beat.total if beat.stage == Stage.TRAIN else None
    return said.total if said is not None else None


def how_far(observation: Observation) -> str:
    """Say it: "iteration 560 to 632 of 1000"."""
    value, error, _ = iteration_of(observation)
    if value is None or not error:
        return iterations(value, total_of(observation))
    total = total_of(observation)
    return f"iteration {value} to {value + error}" + (f" of {total}" if total else "")


def save_interval_of(observation: Observation) -> int | None:
    """Iterations between two saves: as the recipe says, else as they were seen."""
    if observation.save_interval:
        return observation.save_interval
    seen = observation.history.checkpoint_gap_iterations
    return seen or max(_folder_gaps(observation), default=None)


def next_save(observation: Observation, iteration: int) -> int | None:
    """The iteration at which the next checkpoint is due after *iteration*; None: not known."""
    interval, saved = save_interval_of(observation), saved_of(observation) or 0
    if not interval:
        return None
    total = total_of(observation)
    if observation.save_interval:
        waits = iteration % interval == 0 and iteration > saved
        due = iteration if waits else (iteration // interval + 1) * interval
    else:
        due = max(saved + interval, iteration)
    return min(due, total) if total else due


def saved_of(observation: Observation) -> int | None:
    """The newest finished checkpoint, freed from a file server's lag where that is known."""
    known = observation.history.saved
    return known if known is not None else _from_folder(observation)[0]


def _hinted_phase(observation: Observation) -> Phase | None:
    """The phase that folders and log hint at, and the iterations that they prove."""
    reading, ages = observation.checkpoints, observation.ages
    if reading is not None and reading.writing_bytes is not None:
        grew = ages.checkpoint_s
        if grew is not None and grew <= WRITING_S:
            return Phase.SAVING
    said = _said_phase(observation)
    if said is not None:
        return said
    return Phase.ITERATION if _has_trained(observation) else None


def _said_phase(observation: Observation) -> Phase | None:
    """What the log says, unless a checkpoint came after its last word."""
    said, ages = observation.log_progress, observation.ages
    if said is None or said.phase is None:
        return None
    spoke, progress = ages.log_s, ages.progress_s
    if progress is not None and (spoke is None or progress + OUTDATED_S < spoke):
        return None
    try:
        phase = Phase(said.phase)
    except ValueError:
        return None
    return None if phase in BEFORE_TRAINING and _is_past(observation) else phase


def _is_past(observation: Observation) -> bool:
    """An iteration was proven since it loaded, whatever the log has said of loading."""
    if observation.ages.iteration_s is not None:
        return True
    reading, log = observation.checkpoints, observation.log
    last = reading.last_complete if reading else None
    if last is None or log is None or observation.ages.log_s is not None:
        return False
    return last.modified_wall > log.modified_wall + OUTDATED_S


def _has_trained(observation: Observation) -> bool:
    """An iteration is proven, and not only by what an earlier attempt has left."""
    if observation.ages.iteration_s is not None:
        return True
    reading, said = observation.checkpoints, observation.log_progress
    saved = reading is not None and (reading.tracker is not None or bool(reading.checkpoints))
    if observation.foreign:
        return saved or (said is not None and bool(said.iteration))
    return saved and observation.attempt == 1 and observation.ages.progress_s is not None


def _from_folder(observation: Observation) -> tuple[int | None, str | None]:
    reading = observation.checkpoints
    if reading is None:
        return None, None
    if reading.tracker is not None:
        return reading.tracker, "tracker"
    newest = reading.last_complete
    return (newest.iteration, "checkpoint") if newest else (None, None)


def _possible(observation: Observation, value: int) -> int:
    """How many iterations more there may have been, by the pace, since *value* was proven."""
    over = observation.status is not None and observation.status.final
    gone = observation.process is not None and not observation.process.alive
    if over or gone or not is_mute(observation):
        return 0
    pace, age = _fastest_pace(observation), observation.ages.iteration_s
    age = observation.ages.progress_s if age is None else age
    if pace is not None and age is not None:
        error = int(age / pace)
    else:
        error = 0 if observation.history.iteration_source == "log" else _widest(observation)
    last = next_save(observation, value) if observation.saves_visible else None
    bounds = [each - value for each in (last, total_of(observation)) if each is not None]
    return max(0, min([error, *bounds]))


def _fastest_pace(observation: Observation) -> float | None:
    """Seconds that an iteration takes at least, as far as was seen."""
    history = observation.history
    if history.pace_s is not None:
        return min(history.step_low_s or history.pace_s, history.pace_s) or None
    gap_s, gap = history.checkpoint_gap_s, history.checkpoint_gap_iterations
    return gap_s / gap if gap_s and gap else None


def _widest(observation: Observation) -> int:
    return max(_folder_gaps(observation), default=0)


def _folder_gaps(observation: Observation) -> list[int]:
    reading = observation.checkpoints
    whole = [each.iteration for each in reading.checkpoints if each.complete] if reading else []
    return [after - before for before, after in pairwise(whole)]
