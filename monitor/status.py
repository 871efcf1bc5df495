"""Read what is known about runs, for the command line and the screens.

The rule: reading never writes and never starts a process. A live run is as its watcher says; where
the watcher is dead, one look is taken from the ages that it left.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from monitor.alert_view import alerts_view
from monitor.final_iteration import final_iteration
from monitor.life import keeper_alive
from monitor.memory_model import MemoryVerdict
from monitor.memory_view import memory_view
from monitor.metrics import MetricsFollower
from monitor.model import (
    FINAL,
    Heartbeat,
    Liveness,
    LogProgress,
    MachineReading,
    Status,
    Verdict,
)
from monitor.pace import Projection
from monitor.probes.checkpoints import CheckpointProbe, read_tracker
from monitor.probes.clock import Now, read_now
from monitor.probes.heartbeat import read_heartbeat
from monitor.probes.numbers import finite
from monitor.probes.process import is_alive
from monitor.rundir import ITERATION_FOLDER, TRACKER
from monitor.status_model import (
    AlertsView,
    CheckpointView,
    EtaView,
    ForeignView,
    IterationView,
    KeeperView,
    MemoryView,
    RunStatus,
    StageView,
    WatcherView,
)
from monitor.target import WatchTarget, read_target
from monitor.watch_state import FRESH_S, WatchRead, WatchState, age_of, read_watch
from monitor.words import duration

__all__ = [
    "AlertsView",
    "CheckpointView",
    "EtaView",
    "ForeignView",
    "IterationView",
    "KeeperView",
    "MemoryView",
    "RunStatus",
    "StageView",
    "WatcherView",
    "list_runs",
    "read_outline",
    "read_status",
]

FOLLOWED = 32
"""Runs whose files are followed from one call to the next; more are never live on one box."""

METRICS_TAIL_BYTES = 64 * 1024

_ENDINGS = {
    Status.FINISHED: Liveness.FINISHED,
    Status.FAILED: Liveness.FAILED,
    Status.STOPPED: Liveness.STOPPED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
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


def read_status(run_dir: Path, *, now: Now | None = None) -> RunStatus:
    """Return everything known about the run in *run_dir*. Never raises; see `problems`."""
    now = now or read_now()
    target = read_target(run_dir)
    watched = read_watch(target.run_dir.watch)
    seen = _seen(target, watched, now)
    return _build(target, watched, seen, now, full=True)


def list_runs(root: Path, now: Now | None = None) -> list[RunStatus]:
    """Return the runs below *root*, the newest first; of those that are over only the outline."""
    now = now or read_now()
    try:
        folders = [each for each in root.iterdir() if not each.name.startswith(".")]
    except OSError:
        return []
    runs = [read_outline(folder, now=now) for folder in folders if folder.is_dir()]
    return sorted(runs, key=lambda run: (run.created_wall or 0.0, run.run), reverse=True)


def read_outline(run_dir: Path, *, now: Now | None = None) -> RunStatus:
    """Return what a list of runs shows; cheap for one that is over. Never raises."""
    now = now or read_now()
    target = read_target(run_dir)
    if target.final:
        return _build(target, WatchRead(), _recorded(target, None), now, full=False)
    watched = read_watch(target.run_dir.watch)
    seen = _seen(target, watched, now)
    return _build(target, watched, seen, now, full=not _watched_to_its_end(target, watched.value))


def _seen(target: WatchTarget, watched: WatchRead, now: Now) -> _Seen:
    state = _of_this_attempt(target, watched)
    if target.final:
        return _recorded(target, state)
    if state is not None and _watched_to_its_end(target, state):
        return _last_word(state)
    if state is not None:
        age_s = age_of(state, now.boot_id, now.monotonic_s)
        limit_s = max(FRESH_S, 3 * state.tick_s)
        if age_s is not None and is_alive(state.process):
            if age_s < limit_s:
                return _by_watcher(state)
            return _beside_watcher(_look(target, watched, now), age_s)
    return _look(target, watched, now)


def _beside_watcher(seen: _Seen, age_s: float) -> _Seen:
    """The watcher lives and may know more: the disk takes nothing of it, or it is held up."""
    said = f"by one look: its watcher has written nothing for {duration(age_s)}"
    return replace(seen, verdict=replace(seen.verdict, reason=f"{seen.verdict.reason}; {said}"))


def _of_this_attempt(target: WatchTarget, watched: WatchRead) -> WatchState | None:
    """The watcher's last word, unless it is about an earlier attempt."""
    state = watched.value
    return state if state is not None and state.attempt == target.attempt else None


def _watched_to_its_end(target: WatchTarget, state: WatchState | None) -> bool:
    """A foreign run has no keeper to record its end: what the watcher saw of it stays true.

    Looked at again it would change: the machine is restarted, someone trains into the same folder.
    """
    return target.foreign and state is not None and state.verdict.liveness in FINAL


def _last_word(state: WatchState) -> _Seen:
    return _Seen(
        verdict=_without_ages(state.verdict),
        since_wall=state.since_wall,
        log_progress=state.log_progress,
        problems=state.unreadable,
    )


def _without_ages(verdict: Verdict) -> Verdict:
    """Nothing ages any more: how old a signal was at the last look says nothing about now."""
    return replace(verdict, evidence=tuple(replace(each, age_s=None) for each in verdict.evidence))


def _by_watcher(state: WatchState) -> _Seen:
    return _Seen(
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


def _look(target: WatchTarget, watched: WatchRead, now: Now) -> _Seen:
    from monitor.single_look import look_once  # the judges take longer to load than to judge

    look, state = look_once(target, watched.value, now), _of_this_attempt(target, watched)
    same = state is not None and state.verdict.liveness is look.verdict.liveness
    process, beat = look.facts.process, look.facts.current_heartbeat
    said = look.facts.log_progress
    return _Seen(
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


def _recorded(target: WatchTarget, state: WatchState | None) -> _Seen:
    """The end, as the keeper recorded it; with the watcher's evidence if it saw the end."""
    assert target.status is not None
    liveness = _ENDINGS[target.status]
    last = state.verdict if state else None
    iteration, source = final_iteration(target, last)
    far = "" if iteration is None else f" at iteration {iteration}"
    verdict = Verdict(
        liveness=liveness,
        reason=f"{target.cause or liveness}{far}",
        iteration=iteration,
        iteration_source=source,
    )
    if last is not None and last.liveness is liveness:
        evidence = _without_ages(last).evidence
        verdict = replace(verdict, reason=last.reason, flags=last.flags, evidence=evidence)
    return _Seen(verdict=verdict, since_wall=_ended_wall(target), problems=target.problems)


def _build(
    target: WatchTarget, watched: WatchRead, seen: _Seen, now: Now, *, full: bool
) -> RunStatus:
    """Put the parts together; the outline of a run that is over leaves out what takes reading."""
    paths, verdict = target.run_dir, seen.verdict
    beat = read_heartbeat(paths.heartbeat).value if full else None
    ours = beat if beat and beat.attempt == target.attempt and _same_stage(beat, target) else None
    train = ours if ours and ours.stage == "train" else None
    # Without a heartbeat the log is the only one to tell a loss; with one it adds nothing.
    told = train or (None if ours else seen.log_progress)
    problems = dict.fromkeys([*seen.problems, *([watched.problem] if watched.problem else [])])
    over = verdict.liveness in FINAL
    return RunStatus(
        run=target.run,
        name=target.name,
        lane=target.lane,
        engine=target.engine,
        kind=target.kind,
        status=target.status,
        verdict=verdict.liveness,
        reason=verdict.reason,
        flags=verdict.flags,
        cause=target.cause or (verdict.reason if verdict.liveness is Liveness.FAILED else None),
        since_wall=seen.since_wall,
        stage=target.stage,
        stage_index=target.stage_index,
        stage_count=target.stage_count,
        stages=tuple(_stage_view(each) for each in target.stages),
        phase=None if over else seen.phase,
        attempt=target.attempt,
        done=ours.done if ours else None,
        done_total=ours.total if ours else None,
        unit=ours.unit if ours else None,
        iteration=IterationView(
            value=verdict.iteration,
            total=target.total or (told.total if told else None),
            error=verdict.iteration_error,
            source=verdict.iteration_source,
        ),
        loss=told.loss if told else None,
        lr=told.lr if told else None,
        step_s=told.step_s if told else None,
        eta=None if over else _eta_view(seen.eta, now),
        checkpoints=_checkpoint_views(target, now) if full else _newest_checkpoint(target, now),
        memory=memory_view(seen.memory, _of_this_attempt(target, watched), seen.rss_bytes),
        machine=seen.machine,
        evidence=verdict.evidence,
        watcher=_watcher_view(target, watched.value, now),
        keeper=_keeper_view(target),
        foreign=_foreign_view(target),
        created_wall=target.created_wall,
        ended_wall=seen.since_wall if over and target.foreign else _ended_wall(target),
        problems=tuple(problems),
        alerts=alerts_view(watched.value, target),
        signature=verdict.signature,
    )


def _same_stage(beat: Heartbeat, target: WatchTarget) -> bool:
    return target.stage is None or beat.stage == target.stage


def _stage_view(value: Mapping[str, Any]) -> StageView:
    note = value.get("note")
    return StageView(
        name=str(value.get("name")),
        status=str(value.get("status")),
        started_wall=finite(value.get("started_wall")),
        ended_wall=finite(value.get("ended_wall")),
        wall_s=finite(value.get("wall_s")),
        note=note if isinstance(note, str) else None,
    )


def _eta_view(eta: Projection | None, now: Now) -> EtaView | None:
    if eta is None:
        return None
    return EtaView(
        seconds=eta.seconds,
        low_s=eta.low_s,
        high_s=eta.high_s,
        finish_wall=now.wall_s + eta.seconds,
        unknown=eta.unknown,
    )


def _checkpoint_views(target: WatchTarget, now: Now) -> tuple[CheckpointView, ...]:
    reading = _checkpoint_probe(target.checkpoints).read().value
    if reading is None or not reading.checkpoints:
        return ()
    costs = _save_costs(target.run_dir.metrics)
    return tuple(
        CheckpointView(
            iteration=each.iteration,
            age_s=max(0.0, now.wall_s - each.modified_wall),
            size_bytes=each.size_bytes,
            complete=each.complete,
            save_s=costs.get(each.iteration),
        )
        for each in reading.checkpoints
    )


def _newest_checkpoint(target: WatchTarget, now: Now) -> tuple[CheckpointView, ...]:
    """What the tracker names, without looking into it: a list of a thousand runs is to be quick."""
    named = read_tracker(target.checkpoints / TRACKER).value
    if named is None:
        return ()
    try:
        modified = (target.checkpoints / ITERATION_FOLDER.format(named)).stat().st_mtime
    except OSError:
        return ()
    age_s = max(0.0, now.wall_s - modified)
    return (CheckpointView(iteration=named, age_s=age_s, size_bytes=None, complete=True),)


@functools.lru_cache(maxsize=FOLLOWED)
def _checkpoint_probe(folder: Path) -> CheckpointProbe:
    """A screen asks every second: what was whole and has not changed is not parsed again."""
    return CheckpointProbe(folder)


@functools.lru_cache(maxsize=FOLLOWED)
def _metrics_follower(path: Path) -> MetricsFollower:
    return MetricsFollower(path, keep=1, tail_bytes=METRICS_TAIL_BYTES)


def _save_costs(metrics: Path) -> dict[int, float]:
    """Seconds by iteration, of the saves that the end of the file tells of."""
    follower = _metrics_follower(metrics)
    follower.read()
    return {save.iteration: save.save_s for save in follower.metrics.saves}


def _watcher_view(target: WatchTarget, state: WatchState | None, now: Now) -> WatcherView:
    process = state.process if state else target.watcher
    if process is None:
        return WatcherView()
    return WatcherView(
        pid=process.pid,
        alive=is_alive(process),
        age_s=age_of(state, now.boot_id, now.monotonic_s) if state else None,
    )


def _foreign_view(target: WatchTarget) -> ForeignView | None:
    if not target.foreign:
        return None
    known = target.checkpoints != target.run_dir.checkpoints
    return ForeignView(
        pid=target.process.pid if target.process else None,
        container=target.container,
        log=str(target.log) if target.log else None,
        checkpoints=str(target.checkpoints) if known else None,
        warnings=target.warnings,
    )


def _keeper_view(target: WatchTarget) -> KeeperView:
    if target.foreign:
        return KeeperView()
    pid = target.keeper.pid if target.keeper else None
    if target.final:
        return KeeperView(pid=pid, alive=target.keeper is not None and is_alive(target.keeper))
    return KeeperView(pid=pid, alive=keeper_alive(target))


def _ended_wall(target: WatchTarget) -> float | None:
    return target.updated_wall if target.final else None
