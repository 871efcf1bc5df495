"""A run that is over, or of which nothing can be seen. Pure.

The rule: what ended is told by who saw it end. Where nobody lives there is no living verdict, and
where nothing can be observed nothing is claimed.
"""

from __future__ import annotations

from monitor.finding import Finding
from monitor.model import Liveness, Observation, Status
from monitor.standing import how_far, iteration_of, next_save, save_interval_of, saved_of, total_of
from monitor.words import moment, names_iteration

SHOWN_S = 70.0
"""So long after its process went a foreign run's last checkpoint may still show."""
_ENDINGS = {
    Status.FINISHED: Liveness.FINISHED,
    Status.FAILED: Liveness.FAILED,
    Status.STOPPED: Liveness.STOPPED,
}


def ended(observation: Observation) -> Finding | None:
    """What the keeper recorded, or the machine's own restart."""
    status = observation.status
    if status is not None and status.final:
        return Finding(_ENDINGS[status], _ending_reason(observation, status))
    if not observation.boot_changed:
        return None
    where = f"in stage {observation.stage}" if observation.stage else "under way"
    reason = f"the machine was restarted while the run was {where}, {how_far(observation)}"
    if observation.last_words is not None:
        reason += f"; {observation.last_words}"
    elif observation.last_sample_wall is not None:
        reason += f"; last seen {moment(observation.last_sample_wall)}"
    return Finding(Liveness.FAILED, reason)


def unobservable(observation: Observation) -> Finding | None:
    """Nothing of it can be seen at all: say what is missing."""
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
    return Finding(Liveness.LOST, reason + detail)


def gone(observation: Observation) -> Finding | None:
    """Where nobody lives there is no living verdict, whatever was written last."""
    process = observation.process
    if process is None and observation.held is False and not observation.foreign:
        reason = "nobody lives: no keeper and no trainer holds the run; its launch or keeper died"
        return Finding(Liveness.LOST, f"{reason}. {_way_on(observation)}")
    if process is None or process.alive:
        return None
    if observation.foreign:
        return _awaited(observation) or _foreign_end(observation)
    if observation.held is False:
        reason = "nobody lives: the trainer has ended, and so has the keeper that would say how"
        return Finding(Liveness.LOST, f"{reason}. {_way_on(observation)}")
    return Finding(Liveness.LOST, "the trainer has ended; the keeper has not recorded how yet")


def _awaited(observation: Observation) -> Finding | None:
    """A file server shows a folder up to a minute late, and the last checkpoint tells the end."""
    gone_s, total = observation.ages.gone_s, total_of(observation)
    if gone_s is None or gone_s >= SHOWN_S or _was_killed(observation):
        return None
    if not (observation.saves_visible and observation.saves_late):
        return None
    value, saved = iteration_of(observation)[0], saved_of(observation)
    if total is not None:
        if saved is not None and saved >= total:
            return None
        following = next_save(observation, value) if value is not None else None
        two = save_interval_of(observation) or 0  # the last two may both be on their way
        if following is not None and following + two < total:
            return None
    reason = "its process is gone; waiting for its last checkpoint to show"
    return Finding(Liveness.LOST, f"{reason}, {how_far(observation)}")


def _was_killed(observation: Observation) -> bool:
    kernel = observation.machine.kernel if observation.machine else None
    killed = set(kernel.oom_kills) if kernel else set()
    return observation.process is not None and bool(killed & set(observation.process.pids))


def _foreign_end(observation: Observation) -> Finding:
    """Nobody waited for it: only its last checkpoint and the kernel can tell how it ended."""
    value, _, _ = iteration_of(observation)
    total, saved = total_of(observation), saved_of(observation)
    reached = f"reached {value} of {total or 'an unknown number'}"
    if value is None:
        reached = "no iteration of it was ever seen, so how far it got is not known"
    if _was_killed(observation):
        reason = "out of memory: the kernel's out-of-memory killer ended it"
        return Finding(Liveness.FAILED, f"{reason}, {reached}")
    if total is not None and saved is not None and saved >= total:
        return Finding(
            Liveness.FINISHED, f"{reached}, its checkpoint is whole; exit status not observable"
        )
    said = observation.log_progress.error if observation.log_progress else None
    error = f"; its log's last error: {said}" if said else ""
    return Finding(Liveness.ENDED, f"{reached}, exit status not observable{error}")


def _ending_reason(observation: Observation, status: Status) -> str:
    far = how_far(observation)
    if status is Status.FINISHED:
        return f"every stage is done, {far}"
    unsaid = "stopped on request"
    if status is not Status.STOPPED:
        unsaid = "it failed and no cause was recorded"
    cause, value = observation.cause or unsaid, iteration_of(observation)[0]
    return cause if value is not None and names_iteration(cause, value) else f"{cause}, {far}"


def _way_on(observation: Observation) -> str:
    run = observation.run
    return f"`lanewatch watch {run}` finds out how it ended, `lanewatch resume {run}` goes on"
