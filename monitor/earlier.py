"""What an earlier process has left where a foreign run writes: lines of its log, checkpoints. Pure.

The rule: `tee -a` and a folder that is used again outlive a training. What was written before its
process began is not its own, and what it cannot have reached since then neither.
"""

from __future__ import annotations

from monitor.frozen import replace
from monitor.readings import CheckpointReading, LogProgress, LogReading

STAMP_S = 2.0
"""A file's stamp may lie so long before what wrote it was started."""
SLOWER = 2.0
"""Times the pace that was last told, by which the iterations before may have been faster."""


def said_earlier(
    said: LogProgress,
    log: LogReading,
    since_wall: float,
    resumed_at: int = 0,
    *,
    rate: float = 1.0,
) -> bool:
    """An earlier process said it: the one that began *since_wall* had no time to get so far.

    *resumed_at*: the iteration that it may have begun with; *rate*: seconds that the trainer counts
    in one of the files' stamps (`monitor.probes.clock.RATE`).
    """
    if log.modified_wall < since_wall - STAMP_S:
        return True
    if said.iteration is None or said.step_s is None:
        return False
    needed_s = (said.iteration - resumed_at) * said.step_s
    return needed_s > SLOWER * rate * max(0.0, log.modified_wall - since_wall)


def resumed_at(reading: CheckpointReading | None, since_wall: float) -> int:
    """The newest checkpoint that was there before; 0 where there was none."""
    there = [
        each.iteration
        for each in (reading.checkpoints if reading else ())
        if each.complete and each.modified_wall < since_wall - STAMP_S
    ]
    return max(there, default=0)


def without_an_earlier_end(
    reading: CheckpointReading, total: int | None, since_wall: float | None
) -> CheckpointReading:
    """Leave out last checkpoints that are older than the process: it is not at its end by them."""
    if total is None or since_wall is None:
        return reading
    ended = {
        each.iteration
        for each in reading.checkpoints
        if each.iteration >= total and each.modified_wall < since_wall - STAMP_S
    }
    if not ended:
        return reading
    return replace(
        reading,
        checkpoints=tuple(each for each in reading.checkpoints if each.iteration not in ended),
        tracker=None if reading.tracker in ended else reading.tracker,
    )
