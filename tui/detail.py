"""What one run's screen shows beyond its status, read by what was appended since the last look."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.files import read_json
from monitor.model import Stage
from monitor.probes.log import LogFollower
from monitor.rundir import RunDir
from tui.projections import projection_lines
from tui.run_past import Curves, MachineHistory
from tui.state import RunDetail, is_over

if TYPE_CHECKING:
    from monitor.events import Event
    from monitor.status_model import RunStatus
    from tui.provenance import Rows

LOG_LINES = 500
LOG_BYTES = 64 * 1024
TORN_BYTES = 80
"""Of a line that begins before what is followed: its end, about as much as is seen of a line."""
EVENTS = 500
EVENT_BYTES = 256 * 1024


class DetailReader:
    """Follows the files of one run. Not thread-safe: the sampler's thread owns it."""

    def __init__(self, folder: Path) -> None:
        self._paths = RunDir(folder)
        self.run = folder.name
        self._curves = Curves(self._paths)
        self._history = MachineHistory(self._paths)
        self._log = _LogReader(self._paths)
        self._about = _AboutReader(self._paths)
        self._projection: tuple[str, ...] | None = None

    def read(self, status: RunStatus | None, wall_s: float) -> RunDetail:
        """Return all that is known now; *status* names the stage whose log is shown."""
        curves, log, about = self._curves, self._log, self._about
        self._history.read(status, wall_s, curves)
        curves.read(wall_s)
        log.read(status)
        about.read(status)
        return RunDetail(
            run=self.run,
            losses=curves.of("loss"),
            lrs=curves.of("lr"),
            grad_norms=curves.of("grad_norm"),
            step_times=curves.of("step_s"),
            saves=curves.saves,
            history=self._history.points,
            recent=self._history.recent,
            log_name=log.name,
            log_lines=log.shown,
            log_first=log.first,
            events=about.events,
            recipe=about.rows,
            save_interval=about.save_interval or _seen_interval(status),
            keep_last=about.keep_last,
            remedy=about.remedy,
            problem=self._history.problem,
            projection=self._read_projection(status),
        )

    def _read_projection(self, status: RunStatus | None) -> tuple[str, ...]:
        """Once the run is over: its summary is the keeper's last word and does not change."""
        if status is None or not is_over(status):
            self._projection = None
            return ()
        if self._projection is None:
            summary = read_json(self._paths.summary).value
            if summary is None:
                return ()
            self._projection = tuple(projection_lines(summary))
        return self._projection


class _AboutReader:
    """Events as they come; recipe and diagnosis when their files are others than before."""

    def __init__(self, paths: RunDir) -> None:
        from monitor.events import EventFollower

        self._paths = paths
        self._follower = EventFollower(paths.events, tail_bytes=EVENT_BYTES)
        self._kept: deque[Event] = deque(maxlen=EVENTS)
        self._stamps: tuple[int | None, ...] = ()
        self._diagnosed: int | None = None
        self.events: tuple[Event, ...] = ()
        self.rows: Rows = ()
        self.save_interval: int | None = None
        self.keep_last: int | None = None
        self.remedy: str | None = None

    def read(self, status: RunStatus | None) -> None:
        """Look again."""
        new = self._follower.read()
        if new:
            self._kept.extend(new)
            self.events = tuple(self._kept)
        stamps = (_stamp(self._paths.run_json), _stamp(self._paths.state))
        if stamps != self._stamps:
            self._stamps = stamps
            self._read_run()
        self._read_remedy(status)

    def _read_run(self) -> None:
        from monitor.target import read_target
        from tui.provenance import provenance

        run = read_json(self._paths.run_json).value or {}
        self.rows = provenance(run, read_json(self._paths.state).value or {})
        target = read_target(self._paths.root)
        self.save_interval, self.keep_last = target.save_interval, target.keep_last

    def _read_remedy(self, status: RunStatus | None) -> None:
        from monitor.diagnosis.answer import LATEST

        if status is None:
            return
        path = self._paths.diagnosis / LATEST
        stamp = _stamp(path)
        if stamp != self._diagnosed:
            self._diagnosed = stamp
            self.remedy = first_advice(read_json(path).value or {}, status.attempt)


def first_advice(diagnosis: dict[str, object], attempt: int) -> str | None:
    """The first remedy of a diagnosis of *attempt*; the file may hold anything."""
    said = diagnosis.get("conclusion")
    if diagnosis.get("attempt") != attempt or not isinstance(said, dict):
        return None
    remedies = said.get("remedies")
    first = remedies[0] if isinstance(remedies, list) and remedies else None
    advice = first.get("do") if isinstance(first, dict) else None
    return advice if isinstance(advice, str) and advice else None


def _seen_interval(status: RunStatus | None) -> int | None:
    """Iterations between two saves, as they were seen."""
    from monitor.pace import save_interval_of

    there = status.checkpoints if status is not None else ()
    return save_interval_of([each.iteration for each in there])


def _stamp(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _end_of(path: Path) -> str:
    """The last of a line that begins before what is followed; empty for an empty file."""
    from monitor.probes.raw import open_regular
    from monitor.probes.text import clean_line

    try:
        descriptor = open_regular(path)
        try:
            size = os.fstat(descriptor).st_size
            return clean_line(os.pread(descriptor, TORN_BYTES, max(0, size - TORN_BYTES)))
        finally:
            os.close(descriptor)
    except OSError:
        return ""


class _LogReader:
    """The end of the present stage's log; of a finished run's training, as `t` opens it."""

    def __init__(self, paths: RunDir) -> None:
        self._paths = paths
        self._path: Path | None = None
        self._follower: LogFollower | None = None
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self._seen = 0
        self._torn = ""
        """The end of a log whose last line is longer than what is read of it."""

    @property
    def name(self) -> str | None:
        """Of its file."""
        return self._path.name if self._path else None

    @property
    def first(self) -> int:
        """The number of the first line shown, counted from when the run was opened."""
        return self._seen - len(self._lines)

    @property
    def shown(self) -> tuple[str, ...]:
        """Its last lines, the one that is not finished among them."""
        partial = self._follower.partial if self._follower is not None else ""
        partial = partial or ("" if self._lines else self._torn)
        return (*self._lines, partial) if partial else tuple(self._lines)

    def read(self, status: RunStatus | None) -> None:
        """Take in what was appended."""
        path = self._stage_log(status)
        if path is None:
            return
        if path != self._path:
            self._path = path
            self._follower = LogFollower(path, tail_bytes=LOG_BYTES)
            self._lines.clear()
        if self._follower is not None:
            new = self._follower.read()
            self._seen += len(new)
            self._lines.extend(new)
            nothing = not self._lines and not self._follower.partial
            self._torn = _end_of(path) if nothing else ""

    def _stage_log(self, status: RunStatus | None) -> Path | None:
        """The present stage's log; where that is not known, the one that was written last."""
        if status is not None and status.foreign is not None:
            return Path(status.foreign.log) if status.foreign.log else None
        finished = status is not None and status.verdict == "finished"
        for stage in (Stage.TRAIN if finished else None, status.stage if status else None):
            named = self._paths.log(Path(stage).name) if stage else None
            if named is not None and named.exists():
                return named
        if self._path is not None:
            return self._path
        logs = [self._paths.log(stage) for stage in Stage]
        written = [(path.stat().st_mtime, path) for path in logs if path.is_file()]
        return max(written)[1] if written else None
