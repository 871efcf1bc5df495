"""What one run's screen shows beyond its status, read by what was appended since the last look.

History comes once from the telemetry store; from then on every tick adds what the status said, so
that no database is opened a second time while a screen is open.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.files import read_json
from monitor.metrics import Metrics, MetricsFollower
from monitor.model import Stage
from monitor.probes.log import LogFollower
from monitor.rundir import RunDir
from tui.projections import projection_lines
from tui.state import Point, RunDetail, is_over

if TYPE_CHECKING:
    from monitor.samples import Sample
    from monitor.status_model import RunStatus

HISTORY_S = 900.0
POINT_S = 5.0
"""Seconds between two points of the history."""

LOG_LINES = 500
LOG_BYTES = 64 * 1024
METRICS_KEPT = 20_000


class DetailReader:
    """Follows the files of one run. Not thread-safe: the sampler's thread owns it."""

    def __init__(self, folder: Path) -> None:
        self._paths = RunDir(folder)
        self.run = folder.name
        self._metrics = MetricsFollower(self._paths.metrics, keep=METRICS_KEPT)
        self._seen_metrics: Metrics | None = None
        self._losses: tuple[tuple[int, float], ...] = ()
        self._told: dict[int, float] = {}
        """Losses of a run without metrics, from its log by way of the watcher."""
        self._points: deque[Point] = deque(maxlen=int(HISTORY_S / POINT_S) + 1)
        self._history: tuple[Point, ...] = ()
        self._history_read = False
        self._log_path: Path | None = None
        self._log: LogFollower | None = None
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self._lines_seen = 0
        self._problem: str | None = None
        self._projection: tuple[str, ...] | None = None

    def read(self, status: RunStatus | None, wall_s: float) -> RunDetail:
        """Return all that is known now; *status* names the stage whose log is shown."""
        self._read_metrics()
        self._read_history(status, wall_s)
        self._read_log(status)
        return RunDetail(
            run=self.run,
            losses=self._losses or tuple(sorted(self._told.items())),
            history=self._history,
            log_name=self._log_path.name if self._log_path else None,
            log_lines=self._shown_lines(),
            log_first=self._lines_seen - len(self._lines),
            problem=self._problem,
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

    def _read_metrics(self) -> None:
        self._metrics.read()
        while self._metrics.behind_bytes:
            before = self._metrics.behind_bytes
            self._metrics.read()
            if self._metrics.behind_bytes >= before:
                break
        known = self._metrics.metrics
        if known is self._seen_metrics:
            return
        self._seen_metrics = known
        self._losses = tuple(
            (each.iteration, each.loss) for each in known.iterations if each.loss is not None
        )

    def _read_history(self, status: RunStatus | None, wall_s: float) -> None:
        if not self._history_read:
            self._history_read = True
            ended = status.ended_wall if status and is_over(status) else None
            self._points.extend(self._stored((ended or wall_s) - HISTORY_S))
            self._history = tuple(self._points)
        if status is None or is_over(status):
            return
        if status.iteration.source == "log":
            self._note_loss(status.iteration.value, status.loss)
        # Not every tick: a graph that stands still for five seconds is neither drawn nor sent.
        if not self._points or wall_s - self._points[-1].wall_s >= POINT_S:
            self._points.append(_point(status, wall_s))
            self._history = tuple(self._points)

    def _stored(self, since_wall: float) -> list[Point]:
        from monitor.store import read_samples

        found = read_samples(self._paths.telemetry, since_wall=since_wall, every=POINT_S)
        self._problem = found.problem
        for sample in found.value or ():
            self._note_loss(sample.iteration, sample.loss)
        return [_stored_point(sample) for sample in found.value or ()]

    def _note_loss(self, iteration: int | None, loss: float | None) -> None:
        if self._losses or iteration is None or loss is None:
            return
        self._told[iteration] = loss
        if len(self._told) > METRICS_KEPT:
            del self._told[next(iter(self._told))]

    def _read_log(self, status: RunStatus | None) -> None:
        path = self._stage_log(status)
        if path is None:
            return
        if path != self._log_path:
            self._log_path = path
            self._log = LogFollower(path, tail_bytes=LOG_BYTES)
            self._lines.clear()
        if self._log is not None:
            new = self._log.read()
            self._lines_seen += len(new)
            self._lines.extend(new)

    def _stage_log(self, status: RunStatus | None) -> Path | None:
        """The present stage's log; where that is not known, the one that was written last."""
        if status is not None and status.foreign is not None:
            return Path(status.foreign.log) if status.foreign.log else None
        if status is not None and status.stage:
            named = self._paths.log(Path(status.stage).name)
            if named.exists():
                return named
        if self._log_path is not None:
            return self._log_path
        logs = [self._paths.log(stage) for stage in Stage]
        written = [(path.stat().st_mtime, path) for path in logs if path.is_file()]
        return max(written)[1] if written else None

    def _shown_lines(self) -> tuple[str, ...]:
        partial = self._log.partial if self._log is not None else ""
        return (*self._lines, partial) if partial else tuple(self._lines)


def _point(status: RunStatus, wall_s: float) -> Point:
    machine = status.machine
    gpu = machine.gpus[0] if machine and machine.gpus else None
    return Point(
        wall_s=wall_s,
        memory_bytes=status.memory.used_bytes if status.memory else None,
        gpu_percent=gpu.utilisation_percent if gpu else None,
        power_w=gpu.power_w if gpu else None,
        cpu_percent=machine.cpu_percent if machine else None,
    )


def _stored_point(sample: Sample) -> Point:
    gpu = sample.gpus[0] if sample.gpus else None
    return Point(
        wall_s=sample.wall_s,
        memory_bytes=sample.mem_used_bytes,
        gpu_percent=gpu.utilisation_percent if gpu else None,
        power_w=gpu.power_w if gpu else None,
        cpu_percent=sample.cpu_percent,
    )
