"""Say what each signal shows, how old that is, and which verdict it supports. Pure.

Every signal that a run can have is listed, also the silent and the unreadable ones: a person who
doubts the verdict must see what it does not rest on.
"""

from __future__ import annotations

from collections.abc import Iterator

from monitor.activity_evidence import machine_evidence, process_evidence
from monitor.limits import Limit
from monitor.loss import loss_evidence
from monitor.model import Evidence, Heartbeat, Liveness, Observation, Stage
from monitor.standing import current_heartbeat
from monitor.words import counted, duration, gibibytes


def evidence_of(
    observation: Observation, liveness: Liveness, limit: Limit | None
) -> tuple[Evidence, ...]:
    """List every signal."""
    unreadable = (
        Evidence(signal="unreadable", detail=each, supports="nothing")
        for each in observation.unreadable
    )
    return (
        *_progress_evidence(observation, liveness, limit),
        *_log_evidence(observation, liveness),
        *loss_evidence(observation.history),
        *process_evidence(observation),
        *machine_evidence(observation),
        *unreadable,
    )


def _progress_evidence(
    observation: Observation, liveness: Liveness, limit: Limit | None
) -> Iterator[Evidence]:
    ages = observation.ages
    beat = observation.heartbeat
    current = current_heartbeat(observation) is not None
    if beat is None:
        yield Evidence(signal="heartbeat", detail="none", supports="nothing")
    else:
        supports = _progress_supports(liveness, limit, ages.heartbeat_s) if current else "nothing"
        yield Evidence(
            signal="heartbeat",
            detail=_heartbeat_detail(beat, current),
            age_s=ages.heartbeat_s,
            supports=supports,
        )
    reading = observation.checkpoints
    tracker = reading.tracker if reading else None
    yield Evidence(
        signal="tracker",
        detail="none" if tracker is None else f"iteration {tracker}",
        age_s=ages.tracker_s,
        supports=_progress_supports(liveness, limit, ages.tracker_s),
    )
    yield Evidence(
        signal="checkpoints",
        detail=_checkpoint_detail(observation),
        age_s=ages.checkpoint_s,
        supports=_progress_supports(liveness, limit, ages.checkpoint_s),
    )


def _progress_supports(liveness: Liveness, limit: Limit | None, age_s: float | None) -> str:
    if age_s is None:
        return "nothing"
    if limit is None:
        return str(liveness)
    if age_s <= limit.seconds / 2:
        calm = liveness not in (Liveness.SUSPECT, Liveness.STALLED)
        return str(liveness) if calm else "progress"
    # A tracker older than the limit is normal between two saves: it supports nothing by itself.
    return "nothing new" if liveness not in (Liveness.SUSPECT, Liveness.STALLED) else str(liveness)


def _heartbeat_detail(beat: Heartbeat, current: bool) -> str:
    count = "" if beat.done is None else f", {counted(beat.done, beat.total, beat.unit)}"
    ours = "" if current else " (of an earlier stage or attempt)"
    failed = f", {beat.write_errors} writes failed" if beat.write_errors else ""
    return f"{beat.stage}, {beat.phase.replace('_', ' ')}{count}{failed}{ours}"


def _checkpoint_detail(observation: Observation) -> str:
    reading = observation.checkpoints
    if reading is None or not (reading.checkpoints or reading.writing_bytes is not None):
        return "none"
    whole = sum(each.complete for each in reading.checkpoints)
    newest = reading.last_complete
    parts = [f"{whole} whole" + (f", newest {newest.iteration}" if newest else "")]
    if whole < len(reading.checkpoints):
        parts.append(f"{len(reading.checkpoints) - whole} not whole")
    if reading.writing_bytes is not None:
        parts.append(f"one is being written ({gibibytes(reading.writing_bytes)})")
    return ", ".join(parts)


def _log_evidence(observation: Observation, liveness: Liveness) -> Iterator[Evidence]:
    log, age = observation.log, observation.ages.log_s
    if log is None:
        gone = observation.log_progress is not None
        detail = "its file is gone: moved or deleted" if gone else "none"
        yield Evidence(signal="log", detail=detail, supports="nothing")
        return
    cadence = observation.history.log_cadence_s
    said = f"{gibibytes(log.size_bytes)}"
    if cadence is not None and observation.stage in (None, Stage.TRAIN):
        said += f", speaks every {duration(cadence)} at the latest"
    told = observation.log_progress
    if told is not None and told.iteration is not None:
        said += f", tells of iteration {told.iteration}"
    stuck = liveness is Liveness.LOG_STUCK
    yield Evidence(
        signal="log",
        detail=said,
        age_s=age,
        supports=str(Liveness.LOG_STUCK) if stuck else "a hint" if age is not None else "nothing",
    )
