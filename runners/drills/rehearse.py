"""Rehearse one drill from beginning to end and leave nothing behind.

The rule: whatever ends a drill (its end, an error, ctrl-C), its processes, its folder and its disk
go with it; only `--keep` leaves the run's folder.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from monitor.rundir import runs_root
from runners.drills import kernel
from runners.drills.director import Director, Show, Shown
from runners.drills.recording import replay_drill
from runners.drills.table import Drill, Right

DISK_BYTES = 4 << 20

_ALLOWED: dict[Right, Callable[[], bool]] = {
    Right.MOUNT: kernel.may_mount,
    Right.TIME_NAMESPACE: kernel.may_offset_clocks,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """How a drill went."""

    drill: Drill
    rate: float
    run: str | None
    """Its run id; None for a recording."""
    folder: Path | None
    """Where the run was kept; None: it is gone."""
    lines: tuple[Shown, ...]
    problems: tuple[str, ...]
    replayed: bool = False
    """It was not rehearsed: a recording was judged again."""
    began_s: float = 0.0
    """CLOCK_MONOTONIC at second 0 of the lines."""

    @property
    def as_expected(self) -> bool:
        return not self.problems


def may_rehearse(drill: Drill) -> bool:
    """Whether this user may do here what *drill* needs."""
    return drill.needs is None or _ALLOWED[drill.needs]()


def rehearse(drill: Drill, *, rate: float, keep: bool, show: Show) -> Rehearsed:
    """Run *drill* for real. Raises RunnerError or OSError where it cannot be run at all."""
    with _root(drill, keep) as root:
        director = Director(drill, root, rate, show)
        try:
            problems = director.direct()
        finally:
            director.close()
        run = director.run.root
        folder = _keep(run) if keep else None
    return Rehearsed(
        drill=drill,
        rate=rate,
        run=run.name,
        folder=folder,
        lines=tuple(director.lines),
        problems=tuple(problems),
        began_s=director.began_s,
    )


def replay_instead(drill: Drill, *, show: Show) -> Rehearsed:
    """Judge the recording of *drill*. Raises RunnerError when there is none."""
    timeline, lines = replay_drill(drill, show)
    return Rehearsed(
        drill=drill,
        rate=drill.rate,
        run=None,
        folder=None,
        lines=tuple(lines),
        problems=tuple(timeline.verdict(None)),
        replayed=True,
    )


@contextlib.contextmanager
def _root(drill: Drill, keep: bool) -> Iterator[Path]:
    """The folder that the run is made in: the user's own runs, or one that vanishes."""
    if keep and drill.needs is not Right.MOUNT:
        yield runs_root()
        return
    folder = Path(tempfile.mkdtemp(prefix="lanewatch-drill-"))
    try:
        if drill.needs is Right.MOUNT:
            disk = folder / "disk"
            disk.mkdir()
            kernel.mount_tiny_disk(disk, DISK_BYTES)
            try:
                yield disk
            finally:
                kernel.unmount(disk)
        else:
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keep(run: Path) -> Path:
    """The run stays where it is, unless it is on the drill's own disk."""
    home = runs_root() / run.name
    if run != home:
        shutil.copytree(run, home)
    return home
