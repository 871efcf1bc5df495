"""The past of one run: its curves, its saves and the machine's history, read by what is new.

History comes once from the telemetry store; from then on every tick adds what the status said, so
that no database is opened a second time while a screen is open.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from monitor.metrics import Metric, MetricsFollower, Save
from tui.curves import IterationCurve, Pairs, TimeCurve
from tui.state import Point, is_over

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monitor.metrics import Record
    from monitor.run_history import HistoryPoint
    from monitor.rundir import RunDir
    from monitor.status_model import RunStatus

T = TypeVar("T")

RECENT_S = 900.0
POINT_S = 5.0
"""Seconds between two points, and between two states of a curve: what stands is not sent again."""

HISTORY_POINTS = 512
ALWAYS_SHOWN = 64
"""In a curve of so few points each further one is seen."""

BITE_S = 0.1
"""How long one tick may read a long file of metrics; the next one goes on."""


class Curves:
    """Loss, learning rate, gradient norm and step time by iteration, from metrics.jsonl."""

    def __init__(self, paths: RunDir) -> None:
        self._follower = MetricsFollower(paths.metrics, keep=1)
        self._attempt = 0
        self._saves: tuple[Save, ...] = ()
        self._curves = {name: IterationCurve() for name in ("loss", "lr", "grad_norm", "step_s")}
        self._shown: dict[str, Pairs] = dict.fromkeys(self._curves, ())
        self._shown_s = float("-inf")
        self._behind = False

    def read(self, wall_s: float) -> None:
        """Take in what was appended; of a long file a bite, so that the first look is soon."""
        until_s = time.monotonic() + BITE_S
        while True:
            before = self._follower.behind_bytes
            for record in self._follower.read():
                self._take(record)
            behind = self._follower.behind_bytes
            if not behind or time.monotonic() > until_s or (before and behind >= before):
                break
        self._behind = behind > 0
        self._saves = self._follower.metrics.saves
        short = len(self._shown["loss"]) < ALWAYS_SHOWN
        if short or not 0 <= wall_s - self._shown_s < POINT_S:
            self._shown = {name: curve.pairs for name, curve in self._curves.items()}
            # While it is still being read each tick shows how far it is.
            self._shown_s = float("-inf") if self._behind else wall_s

    def of(self, name: str) -> Pairs:
        """The curve of one figure; the same object until it moved."""
        return self._shown[name]

    @property
    def saves(self) -> tuple[Save, ...]:
        """By iteration."""
        return self._saves

    def tell_loss(self, iteration: int | None, loss: float | None) -> None:
        """A loss that only the log told, of a run without metrics."""
        if self._attempt or iteration is None or loss is None:
            return
        self._curves["loss"].cut(iteration)
        self._curves["loss"].add(iteration, loss)

    def _take(self, record: Record) -> None:
        if not isinstance(record, Metric) or record.attempt < self._attempt:
            return
        if record.attempt > self._attempt:
            self._attempt = record.attempt
            for curve in self._curves.values():
                curve.cut(record.iteration)
        for name, curve in self._curves.items():
            curve.add(record.iteration, getattr(record, name))


class MachineHistory:
    """Memory, GPU and CPU over the whole run, and finer over its last quarter of an hour."""

    def __init__(self, paths: RunDir) -> None:
        self._telemetry = paths.telemetry
        self._run_json = paths.run_json
        self._gpu = 0
        self._whole = TimeCurve(POINT_S, HISTORY_POINTS)
        self._recent: deque[Point] = deque(maxlen=int(RECENT_S / POINT_S) + 1)
        self._read = False
        self._last_s: float | None = None
        self.points: tuple[Point, ...] = ()
        self.recent: tuple[Point, ...] = ()
        self.problem: str | None = None

    def read(self, status: RunStatus | None, wall_s: float, curves: Curves) -> None:
        """Read the past once, then add what *status* says."""
        if not self._read:
            self._read = True
            self._fill(status, wall_s, curves)
        if status is None or is_over(status):
            return
        if status.iteration.source == "log":
            curves.tell_loss(status.iteration.value, status.loss)
        # A clock that was set back must not end the history.
        if self._last_s is None or not 0 <= wall_s - self._last_s < POINT_S:
            self._last_s = wall_s
            point = point_of(status, wall_s, self._gpu)
            self._whole.add(point)
            self._recent.append(point)
            self._show()

    def _fill(self, status: RunStatus | None, wall_s: float, curves: Curves) -> None:
        from monitor.run_history import read_history
        from monitor.store import read_samples

        self._gpu = _drawn_gpu(self._run_json)
        past = read_history(self._telemetry, HISTORY_POINTS, POINT_S, self._gpu)
        self.problem = past.problem
        for each in past.value or ():
            curves.tell_loss(each.iteration, each.loss)
        points = [_past_point(each) for each in past.value or ()]
        self._whole.fill(points)
        ended = status.ended_wall if status and is_over(status) else None
        since = (ended or wall_s) - RECENT_S
        for sample in read_samples(self._telemetry, since_wall=since, every=POINT_S).value or ():
            gpu = _at(sample.gpus, self._gpu)
            self._recent.append(
                Point(
                    wall_s=sample.wall_s,
                    memory_bytes=sample.mem_used_bytes,
                    gpu_percent=gpu.utilisation_percent if gpu else None,
                    power_w=gpu.power_w if gpu else None,
                    clock_mhz=gpu.sm_clock_mhz if gpu else None,
                    temperature_c=gpu.temperature_c if gpu else None,
                    cpu_percent=sample.cpu_percent,
                )
            )
        self._last_s = points[-1].wall_s if points else None
        self._show()

    def _show(self) -> None:
        self.points, self.recent = self._whole.points, tuple(self._recent)


def _drawn_gpu(run_json: Path) -> int:
    """The one that the run's recipe names; else the first, on which every lane trains."""
    from monitor.files import read_json
    from runners.chosen_gpu import named_gpu

    recipe = (read_json(run_json).value or {}).get("recipe")
    named = named_gpu(recipe) if isinstance(recipe, dict) else None
    return int(named) if named is not None and named.isdecimal() else 0


def _at(gpus: Sequence[T], place: int) -> T | None:
    return gpus[place] if place < len(gpus) else None


def point_of(status: RunStatus, wall_s: float, place: int = 0) -> Point:
    """The machine as *status* has it; of several GPUs the one at *place*."""
    machine = status.machine
    gpu = _at(machine.gpus, place) if machine else None
    return Point(
        wall_s=wall_s,
        memory_bytes=status.memory.used_bytes if status.memory else None,
        gpu_percent=gpu.utilisation_percent if gpu else None,
        power_w=gpu.power_w if gpu else None,
        clock_mhz=gpu.sm_clock_mhz if gpu else None,
        temperature_c=gpu.temperature_c if gpu else None,
        cpu_percent=machine.cpu_percent if machine else None,
    )


def _past_point(past: HistoryPoint) -> Point:
    return Point(
        wall_s=past.wall_s,
        memory_bytes=past.memory_bytes,
        gpu_percent=past.gpu_percent,
        power_w=past.power_w,
        clock_mhz=past.clock_mhz,
        temperature_c=past.temperature_c,
        cpu_percent=past.cpu_percent,
    )
