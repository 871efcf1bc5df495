"""Rehearse one drill from beginning to end and leave nothing behind.

The rule: whatever ends a drill (its end, an error, ctrl-C), its processes, its folder and its disk
go with it; only `--keep` leaves the run's folder.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from monitor.rundir import runs_root
from runners.drills import kernel
from runners.drills.diagnosed import Diagnosed
from runners.drills.director import Director, Show, Shown
from runners.drills.guardian import guarded
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
    diagnoses: tuple[Diagnosed, ...] = ()
    began_s: float = 0.0
    """CLOCK_MONOTONIC at second 0 of the lines."""

    @property
    def as_expected(self) -> bool:
        return not self.problems


def may_rehearse(drill: Drill) -> bool:
    """Whether this user may do here what *drill* needs."""
    return drill.needs is None or _ALLOWED[drill.needs]()


def rehearse(
    drill: Drill, *, rate: float, keep: bool, show: Show, diagnose: bool = False
) -> Rehearsed:
    """Run *drill* for real; with *diagnose*, have the run diagnosed where the table says so.

    Raises RunnerError or OSError where it cannot be run at all.
    """
    place = _make_place(drill, keep)
    try:
        director = Director(drill, place.root, rate, show, diagnose=diagnose)

        def clear() -> None:
            director.close()
            place.remove()

        with guarded(clear):
            try:
                problems = director.direct()
            finally:
                director.close()
        run = director.run.root
        folder = _keep(run) if keep else None
    finally:
        place.remove()
    return Rehearsed(
        drill=drill,
        rate=rate,
        run=run.name,
        folder=folder,
        lines=tuple(director.lines),
        problems=tuple(problems),
        diagnoses=tuple(director.diagnoses),
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


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a drill's run is made."""

    root: Path
    folder: Path | None
    """What vanishes with the drill; None: the root is the user's own."""
    disk: bool = False

    def remove(self) -> None:
        """Take it away; called again it does nothing."""
        if self.disk:
            with contextlib.suppress(OSError):
                kernel.unmount(self.root)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def _make_place(drill: Drill, keep: bool) -> _Place:
    """The user's own runs, or a folder that vanishes, perhaps with a disk of its own in it."""
    on_disk = drill.needs is Right.MOUNT
    if keep and not on_disk:
        return _Place(runs_root(), None)
    folder = Path(tempfile.mkdtemp(prefix="lanewatch-drill-"))
    if not on_disk:
        return _Place(folder, folder)
    place = _Place(folder / "disk", folder, disk=True)
    try:
        place.root.mkdir()
        kernel.mount_tiny_disk(place.root, DISK_BYTES)
    except OSError:
        place.remove()
        raise
    return place


def _keep(run: Path) -> Path:
    """The run stays where it is, unless it is on the drill's own disk."""
    home = runs_root() / run.name
    if run != home:
        shutil.copytree(run, home)
    return home
