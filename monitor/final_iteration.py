"""How far a run that is over got: from what is durable, not from whoever looked last."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.files import read_json
from monitor.model import Stage, Status, Verdict
from monitor.probes.checkpoints import read_tracker
from monitor.probes.heartbeat import read_heartbeat
from monitor.probes.numbers import whole
from monitor.rundir import TRACKER
from monitor.target import WatchTarget

Proof = tuple[int, str | None]
"""An iteration and the signal that proves it."""


def final_iteration(
    target: WatchTarget, last: Verdict | None = None
) -> tuple[int | None, str | None]:
    """Return the last iteration and what proves it; *last* is the watcher's word, if it has one."""
    if target.status is Status.FINISHED and target.total is not None:
        return target.total, "state"
    proofs = list(_proofs(target, last))
    if proofs:
        return max(proofs, key=lambda each: each[0])
    iterations = whole((read_json(target.run_dir.summary).value or {}).get("iterations"))
    return iterations, None if iterations is None else "metrics"


def _proofs(target: WatchTarget, last: Verdict | None) -> Iterator[Proof]:
    """What this attempt left; an earlier one may have got further, and lost it."""
    if last is not None and last.iteration is not None:
        yield last.iteration, last.iteration_source
    beat = read_heartbeat(target.run_dir.heartbeat).value
    trained = beat is not None and (beat.attempt, beat.stage) == (target.attempt, Stage.TRAIN)
    if beat is not None and trained and beat.done is not None:
        yield beat.done, "heartbeat"
    result = read_json(target.run_dir.result).value or {}
    done = whole(result.get("iteration"))
    if done is not None and result.get("attempt") == target.attempt:
        yield done, "result"
    tracker = read_tracker(target.checkpoints / TRACKER).value
    if tracker is not None:
        yield tracker, "tracker"
