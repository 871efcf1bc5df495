"""Which logs a run has, which of them is looked at first, and where a moment stands in one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monitor.files import read_json
from monitor.model import Stage, Status
from monitor.rundir import RunDir

OWN = ("keeper.log", "watcher.log")
"""What lanewatch itself has to say; behind the stages' logs."""

NEAR_S = 120.0
"""A sample this much after a moment still tells how long the log was then; old ones are sparse."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The logs of a run and the one to show, which may not be there yet."""

    logs: tuple[Path, ...]
    shown: Path | None


def choose_log(folder: Path) -> Choice:
    """The run's logs in the order of its stages; the present stage's is shown.

    Of a run that has finished the training's is: how it went is there, not in its last stage.
    """
    run = RunDir(folder)
    info = read_json(run.run_json).value or {}
    if info.get("kind") == "foreign":
        named = info.get("log")
        theirs = (Path(named),) if isinstance(named, str) and named else ()
        return Choice(theirs + _own(run), theirs[0] if theirs else None)
    stages = tuple(path for stage in Stage if (path := run.log(stage)).is_file())
    state = read_json(run.state).value or {}
    present = Stage.TRAIN if state.get("status") == Status.FINISHED else state.get("stage")
    shown = next((path for path in stages if path.stem == present), None)
    shown = shown or next((path for path in stages if path.stem == state.get("stage")), None)
    shown = shown or max(stages, key=_written, default=None)
    return Choice(stages + _own(run), shown)


def place_of(folder: Path, wall_s: float) -> tuple[Path, int] | None:
    """The log that was written at *wall_s*, and how long it was then, by the telemetry.

    None where nothing was recorded of that moment.
    """
    from monitor.store import read_samples

    run = RunDir(folder)
    found = read_samples(run.telemetry, since_wall=wall_s - NEAR_S, every=1.0).value or ()
    near = [each for each in found if each.log_bytes is not None and each.wall_s <= wall_s + NEAR_S]
    if not near:
        return None
    sample = min(near, key=lambda each: abs(each.wall_s - wall_s))
    shown = choose_log(folder)
    path = next((each for each in shown.logs if each.stem == sample.stage), shown.shown)
    if path is None or sample.log_bytes is None:
        return None
    return path, sample.log_bytes


def _own(run: RunDir) -> tuple[Path, ...]:
    return tuple(path for name in OWN if (path := run.logs / name).is_file())


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
