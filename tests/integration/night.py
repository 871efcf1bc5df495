"""A simulated night of one training run, second by second only where something happens.

The trainer is a list of moments (an iteration, a phase, a save) drawn with a seed; the looks are
those of a watcher at 1 Hz, thinned to the moments and one each half minute. What goes wrong is a
`Fault` that freezes the trainer at its second. The frames go through the judge as a replay does.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace

from night_machine import ENDINGS, Activity, broken, working
from night_plan import (
    BOOT,
    CHECKPOINTS,
    FAST_S,
    FIGURES_S,
    GIB,
    HEARTBEAT,
    LOG,
    MODES,
    NEAR_S,
    OFTEN_FIGURES_S,
    OFTEN_S,
    Fault,
    Gpu,
    Moment,
    Night,
    moments,
)

from monitor.facts import Facts
from monitor.limits import STANDARD, limits_from
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
    ProcessReading,
    Status,
)
from monitor.subject import Subject
from monitor.trace import Frame

__all__ = [
    "CHECKPOINTS",
    "ENDINGS",
    "HEARTBEAT",
    "LOG",
    "MODES",
    "Fault",
    "Gpu",
    "Night",
    "frames",
    "moments",
    "moved_moments",
]


def frames(night: Night) -> Iterator[Frame]:
    """What a watcher sees, look by look."""
    return _Camera(night).frames()


def moved_moments(night: Night) -> Iterator[Moment]:
    """The trainer's moments as pauses and the fault leave them."""
    return _Camera(night).moments()


def done_at_the_fault(night: Night) -> int:
    """Iterations that were done when the fault struck."""
    return max(moment.done for moment in moved_moments(night))


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
        raised = {"first_save_default_s": night.first_save_limit_s}
        self.limits = limits_from(raised) if night.first_save_limit_s else STANDARD

    def frames(self) -> Iterator[Frame]:
        night, last = self.night, 0.0
        yield self._frame(0.0)
        for moment in self.moments():
            yield from self._until(last, moment.at_s - NEAR_S)
            # One look a second: what two moments of one second leave is seen in the next.
            look = max(math.floor(moment.at_s), math.floor(self.before_s)) + 1.0
            # The look just before: what it does not show yet took no longer than one look.
            struck = self.night.fault is not None and moment.at_s == self.night.fault.at_s
            if (moment.saved > self.now.saved or struck) and look - 1.0 > self.before_s:
                yield from self._shown(look - 1.0)
            self._take(moment)
            last = look
            yield from self._shown(look)
        end = night.hours * 3600
        if night.fault is not None and self.over_s is None:
            end = night.fault.at_s + night.after_s
        end = end if self.over_s is None else self.over_s + 5.0
        for begin, until in self.unseen:  # somebody looks again, be it after the night
            end = until + 2.0 if begin <= end <= until else end
        yield from self._until(last, end)
        yield from self._shown(math.floor(end))

    def moments(self) -> Iterator[Moment]:
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
        """The looks of each half minute.

        Where a limit may be as short as a minute, what the GPU draws is seen more often at first.
        """
        often = start + OFTEN_S if self.night.step_s < FAST_S else start
        at = start + (OFTEN_FIGURES_S if often > start else FIGURES_S)
        while at < end:
            yield from self._shown(float(math.floor(at)))
            at += OFTEN_FIGURES_S if at < often else FIGURES_S

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
            limits=self.limits,
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
            quiet = self.night.save_quiet
            writing = int(max(0.0, share - quiet) / (1.0 - quiet) * (149 << 20))
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
        look = (
            working(self.night, self.now, self.draw)
            if self.fault is None
            else broken(self.fault, self.night, self.now, self.draw)
        )
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

    def _gpus(self, look: Activity) -> tuple[GpuReading, ...]:
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
