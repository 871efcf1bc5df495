"""Say what each signal shows, how old that is, and which verdict it supports. Pure.

Every signal that a run can have is listed, also the silent and the unreadable ones: a person who
doubts the verdict must see what it does not rest on.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from monitor.facts import GPU_FRESH_S
from monitor.limits import ABSENCE_S, Limit
from monitor.loss import loss_evidence
from monitor.model import (
    Evidence,
    GpuReading,
    Heartbeat,
    Liveness,
    MemoryReading,
    Observation,
    Phase,
    ProcessReading,
    Stage,
)
from monitor.words import duration, gibibytes

IDLE_S = 30.0
"""After so long without CPU time a process waits for something."""
ACTIVITY_ONLY = "activity, which is no proof of progress"
SLOWDOWNS = frozenset({"hw-slowdown", "sw-thermal", "hw-thermal", "hw-power-brake"})
"""Throttle reasons that explain a slow run; a power cap is normal under full load."""
LOW_CLOCK_MHZ = 1400
"""Below this under load a GB10 is in a stuck power state (measured: 799; healthy: 2281)."""


def current_heartbeat(observation: Observation) -> Heartbeat | None:
    """The heartbeat if the present attempt and stage wrote it."""
    beat = observation.heartbeat
    if beat is None or beat.attempt != observation.attempt:
        return None
    if observation.stage is not None and beat.stage != observation.stage:
        return None
    return beat


def iteration_of(observation: Observation) -> tuple[int | None, int, str | None]:
    """Return the proven iteration, how far it may be off, and the signal that proves it."""
    beat = current_heartbeat(observation)
    if beat is not None and beat.stage == Stage.TRAIN and beat.done is not None:
        return beat.done, 0, "heartbeat"
    reading = observation.checkpoints
    if reading is None:
        return None, 0, None
    whole = [each.iteration for each in reading.checkpoints if each.complete]
    gaps = [after - before for before, after in pairwise(whole)]
    over = observation.status is not None and observation.status.final
    error = 0 if over or _after_training(observation) else max(gaps, default=0)
    if reading.tracker is not None:
        return reading.tracker, error, "tracker"
    if whole:
        return whole[-1], error, "checkpoint"
    return None, 0, None


def activity_age(observation: Observation) -> float | None:
    """Seconds since anything at all was used or written.

    None while CPU time is not known, or when a signal that was known cannot be read now: the
    silence is ours then, not the trainer's.
    """
    ages, process = observation.ages, observation.process
    if process is None or not process.alive or process.cpu_s is None or ages.cpu_s is None:
        return None
    if ages.written_s is not None and process.written_bytes is None:
        return None
    gpus = observation.machine.gpus if observation.machine else ()
    if ages.gpu_s is not None and not any(gpu.age_s <= GPU_FRESH_S for gpu in gpus):
        return None
    known = (ages.cpu_s, ages.written_s, ages.gpu_s, ages.log_s, ages.checkpoint_s)
    return min(age for age in known if age is not None)


def signature_of(observation: Observation) -> str:
    """Say what the process looks like while nothing advances; empty where nothing can be told."""
    process = observation.process
    if process is None:
        return "whether its process lives cannot be seen"
    if process.state in ("T", "t"):
        return "its process is stopped (state T), a SIGCONT lets it go on"
    if blocked_in_pipe(process):
        return "it is blocked writing into a pipe that nobody reads"
    if process.state == "D":
        where = f" in {process.wchan}" if process.wchan else ""
        return f"it waits for a disk or a driver (state D{where})"
    return _cpu_signature(observation)


def blocked_in_pipe(process: ProcessReading) -> bool:
    """True when the kernel holds it in a write to a full pipe."""
    return process.wchan in ("pipe_write", "anon_pipe_write", "pipe_wait")


def slow_causes(observation: Observation) -> list[str]:
    """Name what can be seen to slow a run: heat, power state, swap, other work."""
    causes: list[str] = []
    machine = observation.machine
    if machine is None:
        return causes
    for gpu in machine.gpus:
        slowdowns = [each for each in gpu.throttle if each in SLOWDOWNS]
        if slowdowns:
            causes.append(f"GPU {gpu.index} is throttled ({', '.join(slowdowns)})")
        elif _clocked_down(gpu):
            causes.append(f"GPU {gpu.index} runs at only {gpu.sm_clock_mhz} MHz")
    memory = machine.memory
    pressure = memory.psi_some_avg10 if memory else None
    if memory and pressure and pressure > 10 and memory.swap_free_bytes < memory.swap_total_bytes:
        causes.append(f"memory is short, it swaps ({pressure:.0f} % of the time waiting)")
    if machine.cpu_percent is not None and machine.cpu_percent > 95:
        causes.append(f"all CPU cores are busy ({machine.cpu_percent:.0f} %)")
    return causes


def evidence_of(
    observation: Observation, liveness: Liveness, limit: Limit | None
) -> tuple[Evidence, ...]:
    """List every signal."""
    unreadable = (
        Evidence(signal="unreadable", detail=each, supports="nothing")
        for each in observation.unreadable
    )
    return (
        *_progress_evidence(observation, liveness, limit),
        *_log_evidence(observation, liveness),
        *loss_evidence(observation.history),
        *_process_evidence(observation),
        *_machine_evidence(observation),
        *unreadable,
    )


def _after_training(observation: Observation) -> bool:
    return observation.stage == Stage.MERGE


def _clocked_down(gpu: GpuReading) -> bool:
    clock, busy = gpu.sm_clock_mhz, gpu.utilisation_percent
    return clock is not None and busy is not None and busy > 50 and clock < LOW_CLOCK_MHZ


def _cpu_signature(observation: Observation) -> str:
    idle = observation.ages.cpu_s
    gpus = observation.machine.gpus if observation.machine else ()
    busy = max((gpu.utilisation_percent or 0 for gpu in gpus), default=None)
    on_gpu = "" if busy is None else f", GPU at {busy} %"
    if idle is None:
        return "what it does cannot be seen"
    if idle >= IDLE_S:
        return f"it has used no CPU time for {duration(idle)}{on_gpu}: it waits (a deadlock?)"
    return f"it uses CPU time{on_gpu} and gets nowhere: it spins"


def _progress_evidence(
    observation: Observation, liveness: Liveness, limit: Limit | None
) -> Iterator[Evidence]:
    ages = observation.ages
    beat = observation.heartbeat
    current = current_heartbeat(observation) is not None
    if beat is None:
        yield Evidence(signal="heartbeat", detail="none", supports="nothing")
    else:
        supports = _progress_supports(liveness, limit, ages.heartbeat_s) if current else "nothing"
        yield Evidence(
            signal="heartbeat",
            detail=_heartbeat_detail(beat, current),
            age_s=ages.heartbeat_s,
            supports=supports,
        )
    reading = observation.checkpoints
    tracker = reading.tracker if reading else None
    yield Evidence(
        signal="tracker",
        detail="none" if tracker is None else f"iteration {tracker}",
        age_s=ages.tracker_s,
        supports=_progress_supports(liveness, limit, ages.tracker_s),
    )
    yield Evidence(
        signal="checkpoints",
        detail=_checkpoint_detail(observation),
        age_s=ages.checkpoint_s,
        supports=_progress_supports(liveness, limit, ages.checkpoint_s),
    )


def _progress_supports(liveness: Liveness, limit: Limit | None, age_s: float | None) -> str:
    if age_s is None:
        return "nothing"
    if limit is None:
        return str(liveness)
    if age_s <= limit.seconds / 2:
        calm = liveness not in (Liveness.SUSPECT, Liveness.STALLED)
        return str(liveness) if calm else "progress"
    # A tracker older than the limit is normal between two saves: it supports nothing by itself.
    return "nothing new" if liveness not in (Liveness.SUSPECT, Liveness.STALLED) else str(liveness)


def _heartbeat_detail(beat: Heartbeat, current: bool) -> str:
    count = "" if beat.done is None else f", {beat.done}"
    if beat.done is not None and beat.total is not None:
        count += f" of {beat.total}"
    if count:
        count += f" {beat.unit}"
    ours = "" if current else " (of an earlier stage or attempt)"
    failed = f", {beat.write_errors} writes failed" if beat.write_errors else ""
    return f"{beat.stage}, {beat.phase.replace('_', ' ')}{count}{failed}{ours}"


def _checkpoint_detail(observation: Observation) -> str:
    reading = observation.checkpoints
    if reading is None or not (reading.checkpoints or reading.writing_bytes is not None):
        return "none"
    whole = sum(each.complete for each in reading.checkpoints)
    newest = reading.last_complete
    parts = [f"{whole} whole" + (f", newest {newest.iteration}" if newest else "")]
    if whole < len(reading.checkpoints):
        parts.append(f"{len(reading.checkpoints) - whole} not whole")
    if reading.writing_bytes is not None:
        parts.append(f"one is being written ({gibibytes(reading.writing_bytes)})")
    return ", ".join(parts)


def _log_evidence(observation: Observation, liveness: Liveness) -> Iterator[Evidence]:
    log, age = observation.log, observation.ages.log_s
    if log is None:
        yield Evidence(signal="log", detail="none", supports="nothing")
        return
    cadence = observation.history.log_cadence_s
    said = f"{gibibytes(log.size_bytes)}"
    if cadence is not None and observation.stage in (None, Stage.TRAIN):
        said += f", speaks every {duration(cadence)} at the latest"
    stuck = liveness is Liveness.LOG_STUCK
    yield Evidence(
        signal="log",
        detail=said,
        age_s=age,
        supports=str(Liveness.LOG_STUCK) if stuck else "a hint" if age is not None else "nothing",
    )


def _process_evidence(observation: Observation) -> Iterator[Evidence]:
    process, ages = observation.process, observation.ages
    if process is None:
        yield Evidence(signal="process", detail="not known", supports="nothing")
        return
    detail = f"alive, state {process.state or '?'}" if process.alive else "has ended"
    if process.wchan not in (None, "", "0"):
        detail += f" in {process.wchan}"
    if process.hidden:
        detail += f"; this user may not read: {', '.join(process.hidden)}"
    yield Evidence(signal="process", detail=detail, supports="life" if process.alive else "its end")
    if not process.alive:
        return
    if process.cpu_s is not None:
        used = f"{process.cpu_s:.0f} s used"
        yield _activity("cpu", used, ages.cpu_s)
    if process.written_bytes is not None:
        yield _activity("written", gibibytes(process.written_bytes), ages.written_s)


def _activity(signal: str, detail: str, age_s: float | None) -> Evidence:
    quiet = age_s is not None and age_s >= ABSENCE_S
    supports = str(Liveness.STALLED) if quiet else ACTIVITY_ONLY
    return Evidence(signal=signal, detail=detail, age_s=age_s, supports=supports)


def _machine_evidence(observation: Observation) -> Iterator[Evidence]:
    machine = observation.machine
    if machine is None:
        return
    for gpu in machine.gpus:
        yield _activity(f"gpu{gpu.index}", _gpu_detail(gpu), observation.ages.gpu_s)
    if machine.memory is not None:
        detail = _memory_detail(machine.memory, observation.memory_limit_bytes)
        yield Evidence(signal="memory", detail=detail, supports="a hint")
    if machine.cpu_percent is not None:
        busy = f"{machine.cpu_percent:.0f} % busy"
        yield Evidence(signal="cores", detail=busy, supports="a hint")


def _gpu_detail(gpu: GpuReading) -> str:
    figures = [
        None if gpu.utilisation_percent is None else f"{gpu.utilisation_percent} %",
        None if gpu.power_w is None else f"{gpu.power_w:.0f} W",
        None if gpu.sm_clock_mhz is None else f"{gpu.sm_clock_mhz} MHz",
        None if gpu.temperature_c is None else f"{gpu.temperature_c} °C",
        f"throttled: {', '.join(gpu.throttle)}" if gpu.throttle else None,
    ]
    said = ", ".join(figure for figure in figures if figure) or "no figures"
    return said if gpu.age_s <= GPU_FRESH_S else f"{said}, read {duration(gpu.age_s)} ago"


def _memory_detail(memory: MemoryReading, limit_bytes: int | None) -> str:
    limit = "" if limit_bytes is None else f" of {gibibytes(limit_bytes)}"
    swapped = memory.swap_total_bytes - memory.swap_free_bytes
    figures = [
        f"{gibibytes(memory.used_bytes)}{limit} used",
        f"{gibibytes(memory.available_bytes)} available",
        f"{gibibytes(swapped)} swapped" if swapped > 0 else None,
        None
        if memory.psi_some_avg10 is None
        else f"{memory.psi_some_avg10:.0f} % of the time waited for",
    ]
    return ", ".join(figure for figure in figures if figure)


def phase_of(observation: Observation) -> Phase | None:
    """What the trainer does now; None while this stage has written no heartbeat."""
    beat = current_heartbeat(observation)
    if beat is None:
        return None
    try:
        return Phase(beat.phase)
    except ValueError:  # a word of another lane: judge it by what it has done
        return Phase.ITERATION if beat.done else Phase.LOADING
