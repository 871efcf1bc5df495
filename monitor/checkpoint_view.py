"""A run's checkpoints as `status` shows them: from their folders, with what each save cost.

Readers ask every second: what was whole and has not changed is not parsed again.
"""

from __future__ import annotations

import functools
from pathlib import Path

from monitor.metrics import MetricsFollower
from monitor.probes.checkpoints import CheckpointProbe, read_tracker
from monitor.probes.clock import Now
from monitor.rundir import ITERATION_FOLDER, TRACKER
from monitor.status_model import CheckpointView
from monitor.target import WatchTarget

FOLLOWED = 32
"""Runs whose files are followed from one call to the next; more are never live on one box."""

METRICS_TAIL_BYTES = 64 * 1024


def checkpoint_views(target: WatchTarget, now: Now) -> tuple[CheckpointView, ...]:
    """Every checkpoint, in order of iteration; empty where there is none or none can be read."""
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


def newest_checkpoint(target: WatchTarget, now: Now) -> tuple[CheckpointView, ...]:
    """What the tracker names, without looking into it: a list of a thousand runs is to be quick.

    Who trained without lanewatch may have no tracker; of such runs there are few.
    """
    named = read_tracker(target.checkpoints / TRACKER).value
    if named is None:
        return checkpoint_views(target, now)[-1:] if target.foreign else ()
    try:
        modified = (target.checkpoints / ITERATION_FOLDER.format(named)).stat().st_mtime
    except OSError:
        return ()
    age_s = max(0.0, now.wall_s - modified)
    return (CheckpointView(iteration=named, age_s=age_s, size_bytes=None, complete=True),)


@functools.lru_cache(maxsize=FOLLOWED)
def _checkpoint_probe(folder: Path) -> CheckpointProbe:
    return CheckpointProbe(folder)


@functools.lru_cache(maxsize=FOLLOWED)
def _metrics_follower(path: Path) -> MetricsFollower:
    return MetricsFollower(path, keep=0, tail_bytes=METRICS_TAIL_BYTES)


def _save_costs(metrics: Path) -> dict[int, float]:
    """Seconds by iteration, of the saves that the end of the file tells of."""
    follower = _metrics_follower(metrics)
    follower.read()
    return {save.iteration: save.save_s for save in follower.metrics.saves}
