"""A simulated night of one training run, second by second only where something happens.

The trainer is a list of moments (an iteration, a phase, a save) drawn with a seed; the looks are
those of a watcher at 1 Hz, thinned to the moments and one each half minute. What goes wrong is a
`Fault` that freezes the trainer at its second. The frames go through the judge as a replay does.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from monitor.facts import Facts
from monitor.limits import STANDARD
from monitor.model import (
    Checkpoint,
    CheckpointReading,
    GpuReading,
    Heartbeat,
    KernelReading,
    LogProgress,
    LogReading,
    MachineReading,
    MemoryReading,
    PipeReading,
    ProcessReading,
    Status,
)
from monitor.subject import Subject
from monitor.trace import Frame

BOOT = "boot"
GIB = 1 << 30
GRAIN_S = 8.0
"""Iterations that are faster than 2 s are told in groups of about so long: under the floor of the
iteration limit (60 s) their single gaps are not to be seen."""
FIGURES_S = 30.0
NEAR_S = 4.0
"""So soon before a moment no look is taken for the figures alone."""
HEARTBEAT, LOG, CHECKPOINTS = "heartbeat", "log", "checkpoints"
MODES = (HEARTBEAT, LOG, CHECKPOINTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """What the GPU of the run draws and shows."""

    own: bool = True
    busy_w: float = 45.0
    spread_w: float = 8.0
    idle_w: float = 11.0
    busy_percent: int = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to the trainer at second `at_s`."""

    name: str
    at_s: float
    watts: float = 20.0
    """What a spinning GPU draws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """How a run goes."""

    seed: int
    mode: str = HEARTBEAT
    hours: float = 8.0
    iterations: int | None = None
    step_s: float = 32.4
    jitter: float = 0.05
    save_interval: int = 70
    save_s: float = 5.0
    first_save_factor: float = 1.0
    eval_interval: int = 0
    eval_s: float = 0.0
    load_s: float = 60.0
    first_iteration_s: float = 45.0
    keep_last: int = 3
    log_every: int = 1
    log_stops_at: int | None = None
    """From this iteration on the log is silent, and training is fine."""
    spikes: tuple[tuple[int, float], ...] = ()
    """(iteration, factor): one iteration takes so many times as long."""
    slower_from: int | None = None
    slower: float = 1.0
    slower_watts: float | None = None
    """From `slower_from` on each iteration takes `slower` times as long, at so many watts."""
    gaps: tuple[tuple[float, float], ...] = ()
    """(second, seconds): the watcher gets no time to run."""
    pauses: tuple[tuple[float, float], ...] = ()
    """(second, seconds): the whole machine is paused."""
    lag_s: float = 0.0
    """A file server shows checkpoints so much later, all but the heartbeat."""
    gpu: Gpu | None = field(default_factory=Gpu)
    fault: Fault | None = None
    ends: bool = False
    """The training reaches its total within the night and finishes."""
    after_s: float = 0.0
    """How long a fault is looked at."""

    @property
    def foreign(self) -> bool:
        """lanewatch did not start it: it has no heartbeat and no keeper."""
        return self.mode != HEARTBEAT

    @property
    def total(self) -> int:
        """Iterations that the run is said to have."""
        if self.iterations is not None:
            return self.iterations
        usual = int((self.hours * 3600 - self.load_s) / self.step_s)
        return max(2, usual if self.ends else 2 * usual)

    @property
    def cadence_s(self) -> float:
        """Seconds between two checkpoints, without what evaluations take."""
        return self.save_interval * self.step_s + self.save_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The trainer from `at_s` on."""

    at_s: float
    phase: str
    done: int = 0
    saved: int = 0
    began_s: float = 0.0
    """When the phase began, and how long it will take, for what is written meanwhile."""
    lasts_s: float = 0.0
    over: bool = False


def moments(night: Night) -> Iterator[Moment]:
    """The trainer on its own clock, without faults and pauses."""
    draw = random.Random(f"{night.seed}-trainer")
    yield Moment(at_s=2.0, phase="loading", lasts_s=night.load_s)
    at, done, saved, saves = 2.0 + night.load_s, 0, 0, 0
    yield Moment(at_s=at, phase="first_iteration", lasts_s=night.first_iteration_s)
    at += night.first_iteration_s
    done = 1
    yield Moment(at_s=at, phase="iteration", done=done)
    spikes = dict(night.spikes)
    end = night.hours * 3600
    while done < night.total and (at < end or night.ends):
        count = _group(night, done, spikes)
        at += _seconds(night, done, count, spikes, draw)
        done += count
        saving = done % night.save_interval == 0 or done >= night.total
        evaluating = night.eval_interval and done % night.eval_interval == 0
        yield Moment(at_s=at, phase="iteration", done=done, saved=saved)
        if evaluating:
            lasts = min(3600.0, night.eval_s * _around(draw, 0.05))
            yield Moment(
                at_s=at, phase="evaluating", done=done, saved=saved, began_s=at, lasts_s=lasts
            )
            at += lasts
            yield Moment(at_s=at, phase="iteration", done=done, saved=saved)
        if saving:
            saves += 1
            factor = night.first_save_factor if saves == 1 else 1.0
            lasts = night.save_s * factor * _around(draw, 0.1)
            yield Moment(at_s=at, phase="saving", done=done, saved=saved, began_s=at, lasts_s=lasts)
            at += lasts
            saved = done
            yield Moment(at_s=at, phase="iteration", done=done, saved=saved)
    if done >= night.total:
        yield Moment(at_s=at + 2.0, phase="stopping", done=done, saved=saved, over=True)


def _group(night: Night, done: int, spikes: dict[int, float]) -> int:
    """How many iterations are told at once; no save, evaluation or spike lies between them."""
    if night.step_s >= 2.0:
        return 1
    count = max(1, int(GRAIN_S / night.step_s))
    stops = [night.save_interval - done % night.save_interval, night.total - done]
    if night.eval_interval:
        stops.append(night.eval_interval - done % night.eval_interval)
    stops += [each - done if each > done else 1 for each in spikes if done <= each < done + count]
    return max(1, min(count, *stops))


def _seconds(
    night: Night, done: int, count: int, spikes: dict[int, float], draw: random.Random
) -> float:
    factor = spikes.get(done, 1.0)
    if night.slower_from is not None and done >= night.slower_from:
        factor *= night.slower
    return count * night.step_s * factor * _around(draw, night.jitter / math.sqrt(count))


def _around(draw: random.Random, jitter: float) -> float:
    return max(0.3, min(2.5, math.exp(draw.gauss(0.0, jitter))))


def frames(night: Night) -> Iterator[Frame]:
    """What a watcher sees, look by look."""
    return _Camera(night).frames()


class _Camera:
    """Walks along a night and takes the looks."""

    def __init__(self, night: Night) -> None:
        self.night = night
        self.draw = random.Random(f"{night.seed}-machine")
        self.cpu_s = 5.0
        self.written = 1.0e6
        self.seq = 0
        self.beat: Heartbeat | None = None
        self.log_bytes = 400
        self.log_at = 0.0
        self.log_done: int | None = None
        self.checkpoints: list[Checkpoint] = []
        self.before_s = 0.0
        self.now = Moment(at_s=0.0, phase="", lasts_s=5.0)
        self.fault: Fault | None = None
        self.over_s: float | None = None
        self.unseen = _joined((*night.gaps, *night.pauses))

    def frames(self) -> Iterator[Frame]:
        night, last = self.night, 0.0
        yield self._frame(0.0)
        for moment in self._moments():
            yield from self._until(last, moment.at_s - NEAR_S)
            look = math.floor(moment.at_s) + 1.0
            # The look just before: what it does not show yet took no longer than one look.
            if moment.saved > self.now.saved and look - 1.0 > self.before_s:
                yield from self._shown(look - 1.0)
            self._take(moment)
            last = look
            yield from self._shown(look)
        end = night.hours * 3600
        if night.fault is not None and self.over_s is None:
            end = night.fault.at_s + night.after_s
        end = end if self.over_s is None else self.over_s + 5.0
        yield from self._until(last, end)
        yield from self._shown(math.floor(end))

    def _moments(self) -> Iterator[Moment]:
        """The moments as the pauses and the fault leave them."""
        fault, shift = self.night.fault, 0.0
        pauses = sorted(self.night.pauses)
        for moment in moments(self.night):
            while pauses and moment.at_s + shift >= pauses[0][0]:
                shift += pauses.pop(0)[1]
            moved = replace(moment, at_s=moment.at_s + shift, began_s=moment.began_s + shift)
            if fault is not None and moved.at_s >= fault.at_s:
                yield replace(self.now, at_s=fault.at_s)
                if fault.name in ENDINGS:
                    yield replace(self.now, at_s=fault.at_s + 1.0, over=True)
                return
            yield moved

    def _until(self, start: float, end: float) -> Iterator[Frame]:
        """The looks of each half minute."""
        at = start + FIGURES_S
        while at < end:
            yield from self._shown(float(math.floor(at)))
            at += FIGURES_S

    def _shown(self, at_s: float) -> Iterator[Frame]:
        """One look, unless it falls into a time when nobody looked."""
        for begin, end in self.unseen:
            if begin < at_s < end:
                return
            if self.before_s <= begin and at_s >= end:
                yield self._frame(math.floor(end) + 1.0, max(self.before_s, begin))
                if self.before_s >= at_s:
                    return
        if at_s > self.before_s:
            yield self._frame(at_s)

    def _take(self, moment: Moment) -> None:
        night, fault = self.night, self.night.fault
        if fault is not None and moment.at_s >= fault.at_s:
            self.fault = fault
            if moment.over:
                self.over_s = moment.at_s
            return
        if moment.over:
            self.over_s = moment.at_s
        if moment.saved > self.now.saved:
            whole = Checkpoint(
                iteration=moment.saved,
                complete=True,
                size_bytes=149 << 20,
                modified_wall=moment.at_s,
            )
            self.checkpoints = [*self.checkpoints, whole][-night.keep_last :]
        if moment.done != self.now.done and self._speaks(moment.done):
            self.log_bytes += 96
            self.log_at, self.log_done = round(moment.at_s, 1), moment.done
        self.now = moment
        self.seq += 1
        if not night.foreign:
            self.beat = Heartbeat(
                attempt=1,
                seq=self.seq,
                pid=7,
                boot_id=BOOT,
                monotonic_s=round(moment.at_s, 1),
                stage="train",
                phase=moment.phase,
                done=moment.done,
                total=night.total,
                loss=0.9,
                step_s=night.step_s if moment.done else None,
            )

    def _speaks(self, done: int) -> bool:
        night = self.night
        if night.log_stops_at is not None and done >= night.log_stops_at:
            return False
        before = self.log_done or 0
        return done // night.log_every > before // night.log_every

    def _frame(self, at_s: float, last_look_s: float | None = None) -> Frame:
        night = self.night
        since = at_s - (self.before_s if last_look_s is None else last_look_s)
        self.before_s = at_s
        process, gpus, memory, kernel = self._activity(at_s, since)
        machine = MachineReading(memory=memory, gpus=gpus, cpu_percent=12.0, kernel=kernel)
        subject = Subject(
            run="night",
            status=None if night.foreign else self._status(at_s),
            cause="killed by SIGKILL" if self._status(at_s) is Status.FAILED else None,
            stage="train",
            total=night.total,
            save_interval=night.save_interval,
            foreign=night.foreign,
            boot_id=BOOT,
        )
        return Frame(
            at_s=at_s,
            facts=Facts(
                boot_id=BOOT,
                monotonic_s=at_s,
                stage="train",
                heartbeat=self.beat,
                checkpoints=self._checkpoints(at_s),
                log=self._log(),
                log_progress=self._log_progress(),
                process=process,
                machine=machine,
            ),
            subject=subject,
            limits=STANDARD,
            last_look_s=last_look_s,
        )

    def _status(self, at_s: float) -> Status:
        if self.over_s is None or at_s < self.over_s:
            return Status.RUNNING
        return Status.FAILED if self.fault is not None else Status.FINISHED

    def _checkpoints(self, at_s: float) -> CheckpointReading:
        lag = self.night.lag_s
        seen = tuple(each for each in self.checkpoints if each.modified_wall + lag <= at_s)
        writing = None
        now = self.now
        if now.phase == "saving":
            frozen = self.fault.at_s if self.fault else at_s
            share = min(1.0, max(0.0, (min(at_s, frozen) - now.began_s) / max(1.0, now.lasts_s)))
            writing = int(share * (149 << 20))
        return CheckpointReading(
            tracker=seen[-1].iteration if seen else None, checkpoints=seen, writing_bytes=writing
        )

    def _log(self) -> LogReading | None:
        if self.night.mode == CHECKPOINTS:
            return None
        return LogReading(path="train.log", size_bytes=self.log_bytes, modified_wall=self.log_at)

    def _log_progress(self) -> LogProgress | None:
        if self.night.mode == CHECKPOINTS or self.log_done is None:
            return None
        return LogProgress(
            iteration=self.log_done, total=self.night.total, step_s=self.night.step_s, loss=0.9
        )

    def _activity(
        self, at_s: float, since: float
    ) -> tuple[ProcessReading, tuple[GpuReading, ...], MemoryReading, KernelReading | None]:
        look = _working(self) if self.fault is None else _broken(self.fault, self)
        self.cpu_s += look.cpu * since
        self.written += look.written * since
        process = ProcessReading(
            alive=self.over_s is None,
            state=look.state if self.over_s is None else "Z",
            cpu_s=round(self.cpu_s, 1),
            written_bytes=int(self.written),
            rss_bytes=9 * GIB,
            wchan=look.wchan,
            pids=(7,),
            zombies=look.zombies,
            pipe=look.pipe,
        )
        memory = MemoryReading(
            total_bytes=120 * GIB,
            available_bytes=int(look.available_gib * GIB),
            free_bytes=4 * GIB,
            cached_bytes=20 * GIB,
            swap_total_bytes=16 * GIB,
            swap_free_bytes=int((16 - look.swapped_gib) * GIB),
            psi_some_avg10=look.pressure,
            psi_full_avg10=look.pressure * 0.8,
        )
        kernel = KernelReading(xids=(79,), gpu_lost=True) if look.gpu_lost else None
        return process, self._gpus(look), memory, kernel

    def _gpus(self, look: _Activity) -> tuple[GpuReading, ...]:
        gpu = self.night.gpu
        if gpu is None or look.gpu_lost:
            return ()
        others = () if gpu.own else ((99, 8 * GIB),)
        watts = look.watts if gpu.own else max(look.watts, 30.0 + self.draw.gauss(0, 5))
        percent = look.percent if gpu.own else max(look.percent, 80)
        mine = ((7, 20 * GIB),) if self.over_s is None else ()
        return (
            GpuReading(
                index=0,
                name="NVIDIA GB10",
                utilisation_percent=percent,
                power_w=float(round(max(3.0, watts))),
                temperature_c=62,
                sm_clock_mhz=look.clock_mhz,
                throttle=look.throttle,
                process_bytes=(*mine, *others),
            ),
        )


def _joined(spells: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    """(begin, end) of the times in which nobody looked; those that overlap are one."""
    joined: list[tuple[float, float]] = []
    for begin, lasts in sorted(spells):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], begin + lasts))
        else:
            joined.append((begin, begin + lasts))
    return joined


@dataclass(frozen=True, slots=True, kw_only=True)
class _Activity:
    """What the machine shows."""

    cpu: float
    percent: int
    watts: float
    state: str = "S"
    wchan: str | None = None
    written: float = 0.0
    clock_mhz: int = 2281
    throttle: tuple[str, ...] = ()
    available_gib: float = 72.0
    swapped_gib: float = 0.0
    pressure: float = 0.0
    zombies: tuple[str, ...] = ()
    pipe: PipeReading | None = None
    gpu_lost: bool = False


def _working(camera: _Camera) -> _Activity:
    """A trainer that does what its phase says."""
    gpu, draw = camera.night.gpu or Gpu(), camera.draw
    phase, night = camera.now.phase, camera.night
    idle = gpu.idle_w + draw.gauss(0, 0.5)
    if phase in ("", "loading"):
        return _Activity(cpu=0.9, percent=0, watts=idle, state="R")
    if phase == "first_iteration":
        return _Activity(cpu=1.0, percent=20, watts=idle + 6, state="R")
    if phase in ("saving", "stopping"):
        return _Activity(cpu=0.8, percent=0, watts=idle + 2, state="D", written=30e6)
    busy = gpu.busy_w + max(-20.0, min(20.0, draw.gauss(0, gpu.spread_w)))
    clock, throttle = 2281, ()
    slower = night.slower_from is not None and camera.now.done >= night.slower_from
    if slower and night.slower_watts is not None:
        busy = night.slower_watts + draw.gauss(0, 1.5)
        clock = 799
    if phase == "evaluating":
        busy *= 0.85
    return _Activity(
        cpu=1.1, percent=gpu.busy_percent, watts=busy, state="R", clock_mhz=clock, throttle=throttle
    )


ENDINGS = frozenset({"crash"})
"""Faults that end the process."""


def _broken(fault: Fault, camera: _Camera) -> _Activity:
    """A trainer that hangs, in the way that the fault names."""
    gpu, draw = camera.night.gpu or Gpu(), camera.draw
    idle = gpu.idle_w + draw.gauss(0, 0.3)
    still = _Activity(cpu=0.002, percent=0, watts=idle)
    if fault.name == "crash":
        return still
    if fault.name == "spin":
        watts = fault.watts + draw.gauss(0, 0.2)
        return replace(still, cpu=1.0, percent=gpu.busy_percent, watts=watts, state="R")
    if fault.name == "hot-spin":
        watts = gpu.busy_w + draw.gauss(0, gpu.spread_w)
        return replace(still, cpu=1.0, percent=gpu.busy_percent, watts=watts, state="R")
    if fault.name == "cpu-spin":
        return replace(still, cpu=1.0, state="R")
    if fault.name == "stopped":
        return replace(still, cpu=0.0, state="T")
    if fault.name == "blocked-pipe":
        pipe = PipeReading(descriptor=1, writer_blocked=True)
        return replace(still, cpu=0.0, wchan="pipe_write", pipe=pipe)
    if fault.name == "blocked-io":
        return replace(still, cpu=0.0, state="D", wchan="nfs_wait_bit_killable")
    if fault.name == "thrash":
        return replace(
            still, cpu=0.3, percent=5, watts=idle + 3, state="D", written=3e5,
            available_gib=0.4, swapped_gib=15.0, pressure=70.0,
        )  # fmt: skip
    if fault.name == "gpu-lost":
        return replace(still, cpu=1.0, state="R", gpu_lost=True)
    if fault.name == "dead-worker":
        return replace(still, zombies=("pt_save_worker",))
    return still  # deadlock: nobody uses anything
