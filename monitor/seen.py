"""The verdict on a run, and whose word it is: its watcher's, one look of our own, or the record.

The rule: a live run is as its watcher says; where the watcher is dead, one look is taken from the
ages that it left; an end that was recorded stays as it was recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from monitor.early_word import FRESH_S
from monitor.final_iteration import final_iteration
from monitor.life import keeper_alive
from monitor.memory_model import MemoryVerdict
from monitor.model import FINAL, Liveness, LogProgress, MachineReading, Stage, Status, Verdict
from monitor.pace import Projection
from monitor.probes.clock import Now
from monitor.probes.heartbeat import read_heartbeat
from monitor.probes.process import is_alive
from monitor.rundir import RunDir
from monitor.target import WatchTarget
from monitor.watch_state import WatchRead, WatchState, age_of
from monitor.words import duration, iterations, names_iteration

KEEPER_S = 30.0
"""A launch waits so long at most for its keeper's first word; until then there is no state.json."""

_ENDINGS = {
    Status.FINISHED: Liveness.FINISHED,
    Status.FAILED: Liveness.FAILED,
    Status.STOPPED: Liveness.STOPPED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A verdict and what it was made of, by the watcher or by one look of our own."""

    verdict: Verdict
    since_wall: float | None = None
    machine: MachineReading | None = None
    eta: Projection | None = None
    phase: str | None = None
    rss_bytes: int | None = None
    log_progress: LogProgress | None = None
    problems: tuple[str, ...] = ()
    memory: MemoryVerdict | None = None


def seen_of(target: WatchTarget, watched: WatchRead, now: Now) -> Seen:
    """Return what is to be believed of the run now. Never raises; see `problems`."""
    state = of_this_attempt(target, watched)
    if target.final:
        return recorded_end(target, state)
    if target.status is Status.QUEUED:
        return _queued(target)
    if _is_begun(target, now):
        reason = "it has just been launched: its keeper is starting"
        verdict = Verdict(liveness=Liveness.STARTING, reason=reason)
        return Seen(verdict=verdict, since_wall=target.created_wall, problems=target.problems)
    if state is not None and watched_to_its_end(target, state):
        return _last_word(state)
    if state is not None:
        age_s = age_of(state, now.boot_id, now.monotonic_s)
        limit_s = max(FRESH_S, 3 * state.tick_s)
        if age_s is not None and is_alive(state.process):
            if age_s < limit_s:
                return _by_watcher(state)
            return _beside_watcher(_look(target, watched, now), age_s)
    return _look(target, watched, now)


def _is_begun(target: WatchTarget, now: Now) -> bool:
    """Its folder was made a moment ago, and nobody has had the time to say more."""
    if target.status is not None or target.foreign or target.created_wall is None:
        return False
    return 0 <= now.wall_s - target.created_wall < KEEPER_S


def _queued(target: WatchTarget) -> Seen:
    """Nothing of it has begun: there is nothing to watch but the run that it waits for."""
    after = target.queued_after or "another run"
    reason = f"queued: waits for the end of {after}{_how_far(target, after)}"
    if not keeper_alive(target):
        reason = f"queued after {after}, but nobody waits: `lanewatch watch {target.run}`"
    return Seen(
        verdict=Verdict(liveness=Liveness.STARTING, reason=reason),
        since_wall=target.created_wall,
        problems=target.problems,
    )


def _how_far(target: WatchTarget, after: str) -> str:
    beat = read_heartbeat(RunDir(target.run_dir.root.parent / after).heartbeat).value
    if beat is None or beat.stage != Stage.TRAIN:
        return ""
    return f", which is at {iterations(beat.done, beat.total)}"


def _beside_watcher(seen: Seen, age_s: float) -> Seen:
    """The watcher lives and may know more: the disk takes nothing of it, or it is held up."""
    said = f"by one look: its watcher has written nothing for {duration(age_s)}"
    return replace(seen, verdict=replace(seen.verdict, reason=f"{seen.verdict.reason}; {said}"))


def of_this_attempt(target: WatchTarget, watched: WatchRead) -> WatchState | None:
    """The watcher's last word, unless it is about an earlier attempt."""
    state = watched.value
    return state if state is not None and state.attempt == target.attempt else None


def watched_to_its_end(target: WatchTarget, state: WatchState | None) -> bool:
    """A foreign run has no keeper to record its end: what the watcher saw of it stays true.

    Looked at again it would change: the machine is restarted, someone trains into the same folder.
    """
    return target.foreign and state is not None and state.verdict.liveness in FINAL


def _last_word(state: WatchState) -> Seen:
    return Seen(
        verdict=_without_ages(state.verdict),
        since_wall=state.since_wall,
        log_progress=state.log_progress,
        problems=state.unreadable,
    )


def _without_ages(verdict: Verdict) -> Verdict:
    """Nothing ages any more: how old a signal was at the last look says nothing about now."""
    return replace(verdict, evidence=tuple(replace(each, age_s=None) for each in verdict.evidence))


def _by_watcher(state: WatchState) -> Seen:
    return Seen(
        verdict=state.verdict,
        since_wall=state.since_wall,
        machine=state.machine,
        eta=state.eta,
        phase=state.phase,
        rss_bytes=state.rss_bytes,
        log_progress=state.log_progress,
        problems=state.unreadable,
        memory=state.memory_verdict,
    )


def _look(target: WatchTarget, watched: WatchRead, now: Now) -> Seen:
    from monitor.single_look import look_once  # the judges take longer to load than to judge

    look, state = look_once(target, watched.value, now), of_this_attempt(target, watched)
    same = state is not None and state.verdict.liveness is look.verdict.liveness
    process, beat = look.facts.process, look.facts.current_heartbeat
    said = look.facts.log_progress
    return Seen(
        verdict=look.verdict,
        since_wall=state.since_wall if state and same else now.wall_s,
        machine=look.facts.machine,
        eta=look.eta,
        phase=beat.phase if beat else said.phase if said else None,
        rss_bytes=process.rss_bytes if process else None,
        log_progress=said,
        problems=look.problems,
        memory=look.memory,
    )


def recorded_end(target: WatchTarget, state: WatchState | None) -> Seen:
    """The end, as the keeper recorded it; with the watcher's evidence if it saw the end."""
    assert target.status is not None
    liveness = _ENDINGS[target.status]
    last = state.verdict if state else None
    iteration, source = final_iteration(target, last)
    cause = target.cause or str(liveness)
    known = iteration is None or names_iteration(cause, iteration)
    verdict = Verdict(
        liveness=liveness,
        reason=cause if known else f"{cause} at iteration {iteration}",
        iteration=iteration,
        iteration_source=source,
    )
    if last is not None and last.liveness is liveness:
        evidence = _without_ages(last).evidence
        verdict = replace(verdict, reason=last.reason, flags=last.flags, evidence=evidence)
    return Seen(verdict=verdict, since_wall=ended_wall(target), problems=target.problems)


def ended_wall(target: WatchTarget) -> float | None:
    """When the keeper recorded the end; None while there is none."""
    return target.updated_wall if target.final else None
