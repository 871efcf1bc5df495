"""Read what is known about runs, for the command line and the screens.

The rule: reading never writes and never starts a process. Whose verdict it is, `seen.py` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from monitor.alert_view import alerts_view
from monitor.checkpoint_view import checkpoint_views, newest_checkpoint
from monitor.files import read_json
from monitor.memory_view import memory_view, peaks_view
from monitor.model import FINAL, Heartbeat, Liveness, LogProgress
from monitor.pace import Projection
from monitor.probes.clock import Now, read_now
from monitor.probes.heartbeat import read_heartbeat
from monitor.probes.numbers import finite, whole
from monitor.process_view import foreign_view, keeper_view, watcher_view
from monitor.rundir import RunDir
from monitor.seen import (
    Seen,
    ended_wall,
    of_this_attempt,
    recorded_end,
    seen_of,
    watched_to_its_end,
)
from monitor.status_model import (
    AlertsView,
    CheckpointView,
    EtaView,
    ForeignView,
    IterationView,
    KeeperView,
    MemoryView,
    PeaksView,
    RunStatus,
    StageView,
    WatcherView,
)
from monitor.target import TargetReader, WatchTarget, read_target
from monitor.watch_state import WatchRead, WatchReader, read_watch

__all__ = [
    "AlertsView",
    "CheckpointView",
    "EtaView",
    "ForeignView",
    "IterationView",
    "KeeperView",
    "MemoryView",
    "OutlineReader",
    "PeaksView",
    "RunStatus",
    "StageView",
    "WatcherView",
    "list_runs",
    "read_outline",
    "read_status",
]


def read_status(run_dir: Path, *, now: Now | None = None) -> RunStatus:
    """Return everything known about the run in *run_dir*. Never raises; see `problems`."""
    now = now or read_now()
    target = read_target(run_dir)
    watched = read_watch(target.run_dir.watch)
    seen = seen_of(target, watched, now)
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
    target = read_target(run_dir)
    return _outline(target, lambda: read_watch(target.run_dir.watch), now or read_now())


class OutlineReader:
    """Reads outlines again and again; of a run that lives, the files that changed since."""

    def __init__(self) -> None:
        self._live: dict[Path, tuple[TargetReader, WatchReader]] = {}

    def read(self, run_dir: Path, now: Now) -> RunStatus:
        """Return what `read_outline` does; a file that breaks keeps its last good content."""
        files = self._live.pop(run_dir, None)
        reader = files[0] if files else TargetReader(run_dir)
        target = reader.read()
        watch = files[1] if files else WatchReader(target.run_dir)
        outline = _outline(target, watch.read, now)
        if outline.verdict not in FINAL:
            self._live[run_dir] = reader, watch
        return outline


def _outline(target: WatchTarget, read: Callable[[], WatchRead], now: Now) -> RunStatus:
    if target.final:
        return _build(target, WatchRead(), recorded_end(target, None), now, full=False)
    watched = read()
    seen = seen_of(target, watched, now)
    return _build(target, watched, seen, now, full=not watched_to_its_end(target, watched.value))


def _build(
    target: WatchTarget, watched: WatchRead, seen: Seen, now: Now, *, full: bool
) -> RunStatus:
    """Put the parts together; the outline of a run that is over leaves out what takes reading."""
    paths, verdict = target.run_dir, seen.verdict
    over = verdict.liveness in FINAL
    left = _left(paths) if over else _Figures()
    asked = full or (over and left.step_s is None)
    beat = read_heartbeat(paths.heartbeat).value if asked else None
    ours = beat if beat and beat.attempt == target.attempt and _same_stage(beat, target) else None
    train = ours if ours and ours.stage == "train" else None
    # Without a heartbeat the log is the only one to tell a loss; with one it adds nothing.
    told = train or (None if ours else seen.log_progress)
    problems = dict.fromkeys([*seen.problems, *([watched.problem] if watched.problem else [])])
    figures = left.or_else(told)
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
        loss=figures.loss,
        lr=figures.lr,
        step_s=figures.step_s,
        eta=None if over else _eta_view(seen.eta, now),
        checkpoints=checkpoint_views(target, now) if full else newest_checkpoint(target, now),
        memory=memory_view(seen.memory, of_this_attempt(target, watched), seen.rss_bytes),
        peaks=figures.peaks or (peaks_view(of_this_attempt(target, watched)) if over else None),
        machine=seen.machine,
        evidence=verdict.evidence,
        watcher=watcher_view(target, watched.value, now),
        keeper=keeper_view(target),
        foreign=foreign_view(target),
        created_wall=target.created_wall,
        ended_wall=seen.since_wall if over and target.foreign else ended_wall(target),
        problems=tuple(problems),
        alerts=alerts_view(watched.value, target),
        signature=verdict.signature,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figures:
    """Of training: as a run that is over left them, else as they are told now."""

    loss: float | None = None
    lr: float | None = None
    step_s: float | None = None
    peaks: PeaksView | None = None

    def or_else(self, told: Heartbeat | LogProgress | None) -> _Figures:
        """These, and what *told* says of those that are not known."""
        if told is None:
            return self
        loss = told.loss if self.loss is None else self.loss
        step_s = told.step_s if self.step_s is None else self.step_s
        return replace(self, loss=loss, lr=told.lr, step_s=step_s)


def _left(paths: RunDir) -> _Figures:
    """The keeper's last word; the trainer's own may be of a later stage, or its last step's."""
    summary = read_json(paths.summary).value or {}
    peaks = PeaksView(
        machine_bytes=whole(summary.get("peak_memory_bytes")),
        process_bytes=whole(summary.get("process_peak_bytes")),
        run_bytes=whole(summary.get("run_peak_bytes")),
        gpu_bytes=whole(summary.get("gpu_peak_bytes")),
    )
    return _Figures(
        loss=finite(summary.get("final_loss")),
        step_s=finite(summary.get("step_median_s")),
        peaks=None if peaks == PeaksView() else peaks,
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
