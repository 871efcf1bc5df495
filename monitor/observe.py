"""Put the probes together: one look at a run and its machine (`monitor.watch_fold` judges it).

Every source may fail on its own; the rest goes on, and what failed is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from monitor.facts import Facts
from monitor.life import someone_lives
from monitor.model import (
    FINAL,
    Heartbeat,
    LogProgress,
    LogReading,
    Observation,
    ProcessReading,
    Stage,
    Verdict,
)
from monitor.pace import Projection, project
from monitor.probes import Read
from monitor.probes.checkpoints import CheckpointProbe
from monitor.probes.clock import Now
from monitor.probes.heartbeat import read_heartbeat
from monitor.probes.log import ProgressReader, read_log
from monitor.probes.machine import CpuMeter, GpuSource, read_machine
from monitor.probes.process import read_process
from monitor.target import WatchTarget

T = TypeVar("T")


class Observer:
    """Looks at one run again and again; keeps what makes the next look cheap."""

    def __init__(self, target: WatchTarget, gpus: GpuSource | None = None) -> None:
        self._gpus = gpus
        self._cpu = CpuMeter()
        self._folder = target.checkpoints
        self._checkpoints = CheckpointProbe(target.checkpoints)
        self._beat: Heartbeat | None = None
        self._progress: ProgressReader | None = None

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

        heartbeat = take(self._heartbeat(target))
        checkpoints = take(self.checkpoints(target).read())
        log = take(read_log(target.log)) if target.log else None
        process = take(read_process(target.process)) if target.process else None
        machine = take(read_machine(target.run_dir.root, self._gpus, self._cpu))
        facts = Facts(
            boot_id=now.boot_id,
            monotonic_s=now.monotonic_s,
            attempt=target.attempt,
            stage=target.stage,
            heartbeat=heartbeat,
            checkpoints=checkpoints,
            log=log,
            log_progress=self._log_progress(target, log),
            process=process,
            machine=machine,
            held=_held(target, process),
        )
        return facts, tuple(problems)

    def _log_progress(self, target: WatchTarget, log: LogReading | None) -> LogProgress | None:
        """What the log of a training says; what other stages print counts something else."""
        if target.log is None or target.stage not in (None, Stage.TRAIN):
            return None
        if self._progress is None or self._progress.path != target.log:
            self._progress = ProgressReader(target.log, target.total)
        return self._progress.read(log)

    def _heartbeat(self, target: WatchTarget) -> Read[Heartbeat]:
        """Read it; while it cannot be read, the last one of this attempt and stage still holds."""
        path, kept = target.run_dir.heartbeat, self._beat
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
    target: WatchTarget, observation: Observation, verdict: Verdict, saves: Sequence[float] = ()
) -> Projection | None:
    """When training ends; None outside of it and once the run is over."""
    if verdict.liveness in FINAL or observation.stage not in (None, Stage.TRAIN):
        return None
    return project(
        iteration=verdict.iteration,
        total=target.total or (observation.heartbeat.total if observation.heartbeat else None),
        history=observation.history,
        save_interval=target.save_interval,
        since_s=observation.ages.progress_s,
        saves=saves,
    )
