"""Put the probes together: one look at a run and its machine (`monitor.watch_fold` judges it).

Every source may fail on its own; the rest goes on, and what failed is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from monitor.earlier import resumed_at, without_an_earlier_end
from monitor.facts import Facts
from monitor.frozen import replace
from monitor.life import someone_lives
from monitor.model import (
    FINAL,
    CheckpointReading,
    Heartbeat,
    LogProgress,
    LogReading,
    Observation,
    ProcessReading,
    Stage,
    Verdict,
)
from monitor.pace import (
    Course,
    Measured,
    Projection,
    pace_between,
    project,
    save_interval_of,
)
from monitor.probes import Read
from monitor.probes.checkpoints import CheckpointProbe
from monitor.probes.clock import RATE, Now
from monitor.probes.heartbeat import read_heartbeat
from monitor.probes.kernel import KernelProbe
from monitor.probes.log import ProgressReader, read_log
from monitor.probes.machine import CpuMeter, GpuSource, read_machine
from monitor.probes.pipes import HoldProbe
from monitor.probes.process import read_process, started_s
from monitor.probes.raw import ReadFile, read_proc
from monitor.standing import current_heartbeat
from monitor.target import WatchTarget

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Paths:
    target: WatchTarget
    heartbeat: Path
    log: Path | None


class Observer:
    """Looks at one run again and again; keeps what makes the next look cheap."""

    def __init__(
        self,
        target: WatchTarget,
        gpus: GpuSource | None = None,
        read: ReadFile = read_proc,
    ) -> None:
        self._gpus, self._read = gpus, read
        self._cpu = CpuMeter()
        self._paths = _Paths(target, target.run_dir.heartbeat, target.log)
        self._folder = target.checkpoints
        self._checkpoints = CheckpointProbe(target.checkpoints)
        self._beat: Heartbeat | None = None
        self._progress: ProgressReader | None = None
        self._holds = HoldProbe()
        self._kernel = KernelProbe()
        self._began_s: float | None = None

    def checkpoints(self, target: WatchTarget) -> CheckpointProbe:
        """The probe of the target's checkpoints folder."""
        if target.checkpoints != self._folder:
            self._folder = target.checkpoints
            self._checkpoints = CheckpointProbe(target.checkpoints)
        return self._checkpoints

    def look(self, target: WatchTarget, now: Now) -> tuple[Facts, tuple[str, ...]]:
        """Return the facts, and a sentence for each source that could not be read."""
        problems: list[str] = list(target.problems)

        def take(read: Read[T]) -> T | None:
            if read.problem:
                problems.append(read.problem)
            return read.value

        heartbeat = take(self._heartbeat(target, self._paths_of(target).heartbeat))
        checkpoints = take(self.checkpoints(target).read())
        if checkpoints is not None:
            checkpoints = without_an_earlier_end(checkpoints, target.total, target.started_wall)
        path = self._paths.log
        log = take(read_log(path)) if path else None
        process = take(read_process(target.process, self._read)) if target.process else None
        process = self._held(process, now)
        kernel = self._kernel.read(self._since(target, now))
        machine = take(read_machine(target.run_dir.root, self._gpus, self._cpu, kernel, self._read))
        facts = Facts(
            boot_id=now.boot_id,
            monotonic_s=now.monotonic_s,
            attempt=target.attempt,
            stage=target.stage,
            heartbeat=heartbeat,
            checkpoints=checkpoints,
            log=log,
            log_progress=self._log_progress(target, path, log, checkpoints),
            process=process,
            machine=machine,
            held=_held(target, process),
        )
        return facts, tuple(problems)

    def _paths_of(self, target: WatchTarget) -> _Paths:
        """Made once for a target: putting paths together costs more than to look at the files."""
        if self._paths.target is not target:
            self._paths = _Paths(target, target.run_dir.heartbeat, target.log)
        return self._paths

    def _log_progress(
        self,
        target: WatchTarget,
        path: Path | None,
        log: LogReading | None,
        checkpoints: CheckpointReading | None,
    ) -> LogProgress | None:
        """What the log of a training says; what other stages print counts something else."""
        if path is None or target.stage not in (None, Stage.TRAIN):
            return None
        if self._progress is None or self._progress.path != path:
            self._progress = ProgressReader(path, target.total, target.started_wall)
        began_with = resumed_at(checkpoints, target.started_wall) if target.started_wall else 0
        return self._progress.read(log, self._checkpoints.steps_per_epoch, began_with)

    def _held(self, process: ProcessReading | None, now: Now) -> ProcessReading | None:
        """Add what may hold the process, and that the kernel's log is closed to this user."""
        if process is None:
            return None
        process = self._holds.add(process, now.monotonic_s)
        if not self._kernel.refused or not process.alive:
            return process
        return replace(process, hidden=(*process.hidden, "the kernel's log"))

    def _since(self, target: WatchTarget, now: Now) -> float:
        """Since when lines of the kernel may concern the run, in seconds since boot.

        A process counts suspended time and the kernel's log does not: the earlier one is safe.
        """
        if self._began_s is None:
            self._began_s = now.monotonic_s
        began_s = started_s(target.process) if target.process else self._began_s
        return min(began_s, self._began_s) / RATE

    def _heartbeat(self, target: WatchTarget, path: Path) -> Read[Heartbeat]:
        """Read it; while it cannot be read, the last one of this attempt and stage still holds."""
        kept = self._beat
        read = read_heartbeat(path)
        if read.value is not None:
            self._beat = read.value
            return read
        if kept is None or (kept.attempt, kept.stage) != (target.attempt, target.stage):
            return read
        return Read(kept, read.problem or f"{path.name} is missing")


def _held(target: WatchTarget, process: ProcessReading | None) -> bool | None:
    """Ask for the run's locks only where no trainer is seen to live."""
    if target.foreign or target.final or (process is not None and process.alive):
        return None
    return someone_lives(target)


def eta_of(
    target: WatchTarget,
    observation: Observation,
    verdict: Verdict,
    measured: Measured | None = None,
) -> Projection | None:
    """When training ends; None outside of it and once the run is over.

    *measured* is what the trainer itself measured in this attempt.
    """
    if verdict.liveness in FINAL or observation.stage not in (None, Stage.TRAIN):
        return None
    beat, log = current_heartbeat(observation), observation.log_progress
    reading, measured = observation.checkpoints, measured or Measured()
    there = reading.checkpoints if reading else ()
    course = Course(
        iteration=verdict.iteration,
        total=target.total or (beat.total if beat else None) or (log.total if log else None),
        error=verdict.iteration_error,
        save_interval=target.save_interval or save_interval_of([each.iteration for each in there]),
        eval_interval=target.eval_interval,
        phase=beat.phase if beat else None,
        since_s=observation.ages.progress_s,
    )
    if beat is None:
        # Nothing but the log and the folder speaks of its pace.
        saves = (log.save_s, log.save_s) if log and log.save_s else ()
        measured = replace(
            measured,
            saves_s=measured.saves_s or saves,
            log_step_s=log.step_s if log else None,
            between_saves=pace_between([each for each in there if each.complete]),
        )
    return project(course, observation.history, measured)
