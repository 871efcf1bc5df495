"""Say what process and machine show: activity that proves nothing, and what may hold a run. Pure.

What is listed only where it is there (a pipe, dead children, lines of the kernel) names a cause.
"""

from __future__ import annotations

from collections.abc import Iterator

from monitor.activity import excluded_by
from monitor.budget import gpu_bytes, is_unified
from monitor.facts import GPU_FRESH_S
from monitor.flags import DISK_LOW, is_disk_low
from monitor.limits import ABSENCE_S
from monitor.model import (
    Evidence,
    GpuReading,
    KernelReading,
    Liveness,
    MachineReading,
    MemoryReading,
    Observation,
    PipeReader,
    PipeReading,
    ProcessReading,
)
from monitor.words import duration, gibibytes

ACTIVITY_ONLY = "activity, which is no proof of progress"
WAITS_SHOWN = 3
_HELD = {
    "stopped": "it is stopped",
    "pipe": "a full pipe holds it",
    "terminal": "a terminal that takes nothing holds it",
    "disk": "it waits for a disk or a driver",
}


def process_evidence(observation: Observation) -> Iterator[Evidence]:
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
    yield from _hold_evidence(process, ages.excluded_s)
    if process.cpu_s is not None:
        used = f"{process.cpu_s:.0f} s used"
        yield _activity("cpu", used, ages.cpu_s)
    if process.written_bytes is not None:
        yield _activity("written", gibibytes(process.written_bytes), ages.written_s)


def _hold_evidence(process: ProcessReading, excluded_s: float | None) -> Iterator[Evidence]:
    """What may hold it: its threads' waits, dead children, the pipe of its log."""
    if excluded_s is not None:
        detail = f"cannot get on while {_HELD[excluded_by(process) or 'stopped']}"
        yield Evidence(signal="held", detail=detail, age_s=excluded_s, supports="no progress")
    if process.waits:
        shown = ", ".join(f"{count} in {name}" for name, count in process.waits[:WAITS_SHOWN])
        yield Evidence(signal="threads", detail=shown, supports="a diagnosis")
    if process.zombies:
        detail = f"ended and not waited for: {', '.join(process.zombies)}"
        yield Evidence(signal="children", detail=detail, supports="a diagnosis")
    if process.pipe is not None:
        yield Evidence(signal="pipe", detail=_pipe_detail(process.pipe), supports="a diagnosis")


def _reader_detail(reader: PipeReader) -> str:
    held = f", held in a write to {reader.terminal}" if reader.terminal else ""
    return f"{reader.name} ({reader.pid}, {reader.state or '?'}{held})"


def _pipe_detail(pipe: PipeReading) -> str:
    name = "stdout" if pipe.descriptor == 1 else "stderr"
    readers = ", ".join(map(_reader_detail, pipe.readers))
    outside = "a container's runtime" if pipe.through_container else "whom this user may not see"
    full = "; a write to it waits, it is full" if pipe.writer_blocked else ""
    if pipe.terminal is None:
        return f"{name} is a pipe, read by {readers or outside}{full}"
    held = "; a write to it waits, it takes nothing" if pipe.writer_blocked else ""
    return f"{name} is the terminal {pipe.terminal}{f', shown by {readers}' * bool(readers)}{held}"


def _activity(signal: str, detail: str, age_s: float | None) -> Evidence:
    quiet = age_s is not None and age_s >= ABSENCE_S
    supports = str(Liveness.STALLED) if quiet else ACTIVITY_ONLY
    return Evidence(signal=signal, detail=detail, age_s=age_s, supports=supports)


def machine_evidence(observation: Observation) -> Iterator[Evidence]:
    machine = observation.machine
    if machine is None:
        return
    for gpu in machine.gpus:
        yield _gpu_evidence(observation, gpu)
    if machine.kernel is not None and (detail := _kernel_detail(machine.kernel)):
        yield Evidence(signal="kernel", detail=detail, supports="a diagnosis")
    if is_disk_low(observation):
        yield Evidence(signal="disk", detail=_disk_detail(observation), supports=DISK_LOW)
    if machine.memory is not None:
        detail = _memory_detail(machine.memory, observation.memory_limit_bytes)
        held = gpu_bytes(machine.gpus)
        on_gpu = "" if held is None else f", {gibibytes(held)} held on the GPU"
        yield Evidence(signal="memory", detail=f"{detail}{on_gpu}", supports="a hint")
        yield from _cgroup_evidence(observation, machine)
    if machine.cpu_percent is not None:
        busy = f"{machine.cpu_percent:.0f} % busy"
        yield Evidence(signal="cores", detail=busy, supports="a hint")


def _cgroup_evidence(observation: Observation, machine: MachineReading) -> Iterator[Evidence]:
    """A container's limit looks like a guard, and on a machine that shares its memory is none."""
    group = observation.process.cgroup if observation.process else None
    total = machine.memory.total_bytes if machine.memory else 0
    if group is None or group.used_bytes is None or group.limit_bytes is None:
        return
    if not is_unified(machine.gpus, total):
        return
    detail = (
        f"{gibibytes(group.used_bytes)} of {gibibytes(group.limit_bytes)} host memory; its limit "
        "(docker --memory) does not see what CUDA takes on this machine"
    )
    yield Evidence(signal="container", detail=detail, supports="nothing")


def _gpu_evidence(observation: Observation, gpu: GpuReading) -> Evidence:
    detail, signal = _gpu_detail(gpu), f"gpu{gpu.index}"
    if observation.gpu_shared:
        return Evidence(signal=signal, detail=f"{detail}, shared", supports="nothing: it is shared")
    return _activity(signal, detail, observation.ages.gpu_s)


def _kernel_detail(kernel: KernelReading) -> str:
    figures = [
        "GPU lost" if kernel.gpu_lost else None,
        f"Xid {', '.join(map(str, kernel.xids))}" if kernel.xids else None,
        f"{kernel.no_memory_lines} x NV_ERR_NO_MEMORY" if kernel.no_memory_lines else None,
        f"killed for memory: {', '.join(map(str, kernel.oom_kills))}" if kernel.oom_kills else None,
    ]
    return ", ".join(each for each in figures if each)


def _disk_detail(observation: Observation) -> str:
    reading = observation.checkpoints
    last = reading.last_complete if reading else None
    free = gibibytes(reading.free_bytes or 0) if reading else "?"
    return f"{free} free, the last checkpoint took {gibibytes(last.size_bytes) if last else '?'}"


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
        f"{gibibytes(memory.cached_bytes)} of that page cache" if memory.cached_bytes else None,
        f"{gibibytes(swapped)} swapped" if swapped > 0 else None,
        None
        if memory.psi_some_avg10 is None
        else f"{memory.psi_some_avg10:.0f} % of the time waited for",
    ]
    return ", ".join(figure for figure in figures if figure)
