"""What of a run lies on a file system that does not answer: it would hold the diagnosis as well.

The rule: the folder of the checkpoints and a foreign log are asked for first, by a child; what does
not answer is not touched by this process, and is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monitor.diagnosis.bounds import CHECKPOINTS_END_S, Bounds
from monitor.diagnosis.file_systems import silent
from monitor.diagnosis.places import FileSystem
from monitor.frozen import replace
from monitor.rundir import RunDir
from monitor.target import WatchTarget, read_target


@dataclass(frozen=True, slots=True)
class Reach:
    """Which of the two does not answer."""

    run: RunDir
    checkpoints_silent: FileSystem | None = None
    log_silent: FileSystem | None = None

    @classmethod
    def of(cls, target: WatchTarget, bounds: Bounds) -> Reach:
        """Ask both; a log beside the checkpoints is not asked for again."""
        first = silent(target.checkpoints, bounds.left(CHECKPOINTS_END_S))
        log = target.foreign_log
        if log is None:
            return cls(target.run_dir, first)
        if first is not None and log.is_relative_to(first.point):
            return cls(target.run_dir, first, first)
        return cls(target.run_dir, first, silent(log, bounds.left(CHECKPOINTS_END_S)))

    def target(self) -> WatchTarget:
        """The run as its files say now, without what is out of reach."""
        target = read_target(self.run.root)
        if self.log_silent is not None:
            target = replace(target, foreign_log=None)
        if self.checkpoints_silent is not None:
            target = replace(target, checkpoints=_nowhere(self.run))
        return target

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be read, in words."""
        place = self.log_silent
        if place is None:
            return ()
        return (f"its log: {place.point} ({place.kind} of {place.source}) does not answer",)


def _nowhere(run: RunDir) -> Path:
    return run.diagnosis / "out-of-reach"
