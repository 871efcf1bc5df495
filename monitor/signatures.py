"""Name what a run looks like while it hangs, is slow, or keeps its log silent. Pure.

The rule: a signature is a name for what is seen, never a proof of anything; progress alone decides.
On a shared GPU power and utilisation are no evidence for one run, and that is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from monitor.activity import STOPPED, blocked_in_pipe, blocked_in_terminal
from monitor.facts import GPU_FRESH_S, gpus_of
from monitor.limits import POWER_SHARE
from monitor.model import (
    GpuReading,
    KernelReading,
    MachineReading,
    Observation,
    Phase,
    PipeReader,
    PipeReading,
)
from monitor.standing import phase_of
from monitor.words import duration

IDLE_S = 30.0
"""After so long without CPU time a process waits for something."""
BUSY_PERCENT = 90
FLAT_SHARE = 0.03
"""Of the power itself: a spread under it is flat, whatever the spread was while training."""
COLLAPSED = 0.5
"""Times the spread while training."""
THRASH_FULL = 20.0
THRASH_SOME = 40.0
"""Percent of the last 10 s in which all, or some, tasks waited for memory."""
SLOWDOWNS = frozenset({"hw-slowdown", "sw-thermal", "hw-thermal", "hw-power-brake"})
"""Throttle reasons that explain a slow run; a power cap is normal under full load."""
LOW_CLOCK_MHZ = 1400
"""Below this under load a GB10 is in a stuck power state (measured: 799; healthy: 2281)."""
LOW_CLOCK_SHARE = 0.7
"""Of the clock that the run's own GPU usually had at work."""
APPLICATION_XIDS = frozenset({13, 31, 43, 45, 68, 109})
"""Xids that a program's own mistake or end makes; the GPU is whole."""
MENDED_XIDS = frozenset({63, 92, 94})
"""A row remapped, many corrected bits, an error contained in one program: the GPU goes on (NVIDIA's
Xid catalog)."""
FILTERS = frozenset(
    {"grep", "egrep", "fgrep", "rg", "sed", "awk", "gawk", "mawk", "tr", "cut", "tail", "head"}
    | {"sort", "uniq", "perl", "python", "python3"}
)
"""Programs that hold back what they write into a pipe or a file, 4 KiB or more of it."""
CLIENTS = frozenset({"docker", "podman", "nerdctl", "kubectl", "ssh"})
PIPE_BYTES = "64 KiB"
BY_GPU = "it spins:"
"""So the words begin where the GPU's own power told it."""


class Signature(StrEnum):
    """What a stall, a slowness or a silent log looks like; docs/verdicts.md has what to do."""

    STOPPED = "stopped"
    GPU_LOST = "gpu-lost"
    BLOCKED_PIPE = "blocked-pipe"
    BLOCKED_TERMINAL = "blocked-terminal"
    SAVE_WORKER_DEAD = "save-worker-dead"
    BLOCKED_IO = "blocked-io"
    DRIVER_STUCK = "driver-stuck"
    SWAP_THRASH = "swap-thrash"
    BUSY_WITHOUT_PROCESS = "busy-without-process"
    SPINNING = "spinning"
    IDLE_DEADLOCK = "idle-deadlock"
    THERMAL = "thermal"
    POWER_STATE = "power-state"
    CONTENTION = "contention"
    STOPPED_READER = "stopped-reader"
    STALLED_CLIENT = "stalled-client"
    HELD_BY_FILTER = "held-by-filter"


@dataclass(frozen=True, slots=True)
class Sign:
    """A signature, if one is seen, and the words for it."""

    signature: Signature | None
    words: str


def sign_of(observation: Observation) -> Sign:
    """Say what a run looks like that does not get on."""
    process = observation.process
    if process is None:
        return Sign(None, "whether its process lives cannot be seen")
    if process.state in STOPPED:
        words = f"its process is stopped (state {process.state})"
        return Sign(Signature.STOPPED, f"{words}, {_continue(process.pids)} lets it go on")
    found = (
        _gpu_lost(observation.machine)
        or _blocked_pipe(observation)
        or _blocked_terminal(observation)
        or _save_worker(observation)
        or _thrashing(observation.machine)  # which keeps a process in state D, too
        or _blocked_io(observation)
        or _driver_stuck(observation.machine)
        or _latched(observation)
        or _slowed(observation)
        or _spinning(observation)
    )
    return found or _by_cpu(observation)


def slow_sign_of(observation: Observation) -> Sign:
    """Say what can be seen to slow a run: heat, power state, swap, other work."""
    found = list(_slow_signs(observation))
    if not found:
        return Sign(None, "no cause can be seen")
    return Sign(found[0].signature, "; ".join(each.words for each in found))


def holder_of(observation: Observation) -> Sign | None:
    """Say who holds a silent log back, where that is visible."""
    process = observation.process
    pipe = process.pipe if process is not None else None
    if process is None or not (pipe or blocked_in_pipe(process)):
        return None
    if blocked_in_pipe(process):
        full = f"its stdout is a full pipe (a pipe holds {PIPE_BYTES}): that run WILL stop"
        return Sign(Signature.BLOCKED_PIPE, full + _reader_words(pipe))
    return _blocked_terminal(observation) or (_pipe_sign(pipe) if pipe else None)


def spins(observation: Observation) -> bool:
    """Rule 6: power under the run's own 5th percentile and flat, for three minutes, while busy."""
    history = observation.history
    power, low, usual = history.recent_power_w, history.power_low_w, history.power_median_w
    flat, busy = history.recent_spread_w, history.recent_busy_percent
    if power is None or low is None or usual is None or flat is None or busy is None:
        return False
    collapsed = flat <= max(COLLAPSED * (history.power_spread_w or 0.0), FLAT_SHARE * power)
    return power < min(low, POWER_SHARE * usual) and collapsed and busy >= BUSY_PERCENT


def is_slowed(observation: Observation) -> bool:
    """Its GPU works, and at less than it could: a low power then is no sign of a hang."""
    return _slowed_gpu(observation) is not None


def busy_without_process(gpu: GpuReading) -> bool:
    """It says that it works, and the driver lists nobody who could make it work."""
    busy = gpu.utilisation_percent is not None and gpu.utilisation_percent >= BUSY_PERCENT
    return busy and not gpu.process_bytes and gpu.age_s <= GPU_FRESH_S


def _continue(pids: tuple[int, ...]) -> str:
    return f"`kill -CONT {pids[0]}`" if pids else "a SIGCONT"


def _gpu_lost(machine: MachineReading | None) -> Sign | None:
    if machine is None:
        return None
    kernel, said = machine.kernel, machine.gpu_problem or ""
    if kernel is not None and kernel.gpu_lost:
        return Sign(Signature.GPU_LOST, f"the kernel says that the GPU is lost{_xids(kernel)}")
    if "lost" in said.lower() or "reset required" in said.lower():
        return Sign(Signature.GPU_LOST, f"the driver says: {said}")
    light = APPLICATION_XIDS | MENDED_XIDS
    grave = [each for each in kernel.xids if each not in light] if kernel else []
    if grave:
        return Sign(Signature.GPU_LOST, f"the kernel logged Xid {grave[-1]} of the GPU's driver")
    return None


def _xids(kernel: KernelReading) -> str:
    return f" (Xid {kernel.xids[-1]})" if kernel.xids else ""


def _blocked_pipe(observation: Observation) -> Sign | None:
    process = observation.process
    if process is None or not blocked_in_pipe(process):
        return None
    words = "it is blocked writing into a pipe that nobody reads"
    return Sign(Signature.BLOCKED_PIPE, words + _reader_words(process.pipe))


def _blocked_terminal(observation: Observation) -> Sign | None:
    """Its own output is a terminal whose flow is held, or whose program does not take it."""
    process = observation.process
    pipe = process.pipe if process is not None else None
    if process is None or pipe is None or not blocked_in_terminal(process):
        return None
    words = f"it is held in its write to the terminal {pipe.terminal}"
    return Sign(Signature.BLOCKED_TERMINAL, words + _terminal_words(pipe.readers))


def _terminal_words(shown_by: tuple[PipeReader, ...]) -> str:
    """Name the program of a terminal that takes nothing, and what lets it go on."""
    stopped = [each for each in shown_by if each.state in STOPPED]
    if stopped:
        first = stopped[0]
        return f", shown by {_named(first)}, which is stopped: `kill -CONT {first.pid}`"
    further = next((each.terminal for each in shown_by if each.terminal), None)
    who = f", shown by {_named(shown_by[0])}" if shown_by else ""
    where = f"in the terminal {further} that this writes to" if further else "there"
    return f"{who}: Ctrl-Q {where} lets it go on, if Ctrl-S held it"


def _reader_words(pipe: PipeReading | None) -> str:
    """Name who ought to read the pipe, and what makes it go on."""
    if pipe is None:
        return ""
    sign = _pipe_sign(pipe)
    if sign is not None and sign.signature is not Signature.HELD_BY_FILTER:
        return f"; {sign.words}"
    if pipe.readers:
        return f"; its reader is {_named(pipe.readers[0])}"
    where = "in a container's runtime" if pipe.through_container else "not to be seen by this user"
    return f"; its reader is {where}"


def _pipe_sign(pipe: PipeReading) -> Sign | None:
    stopped = [each for each in pipe.readers if each.state in STOPPED]
    if stopped:
        first = stopped[0]
        words = f"its log is read by {_named(first)}, which is stopped: `kill -CONT {first.pid}`"
        client = first.name in CLIENTS
        return Sign(Signature.STALLED_CLIENT if client else Signature.STOPPED_READER, words)
    held = next((each for each in pipe.readers if each.terminal is not None), None)
    if held is not None:
        words = f"its log is read by {_named(held)}, held in its write to the terminal "
        beyond = pipe.readers[pipe.readers.index(held) + 1 :]
        words += f"{held.terminal}{_terminal_words(beyond)}"
        return Sign(Signature.BLOCKED_TERMINAL, words)
    if pipe.terminal is not None:
        return None
    filters = [each for each in pipe.readers if each.name in FILTERS]
    if filters:
        words = f"its log goes through {_named(filters[0])}, which holds lines back in a buffer"
        return Sign(Signature.HELD_BY_FILTER, words)
    clients = [each for each in pipe.readers if each.name in CLIENTS]
    if clients or pipe.through_container:
        who = _named(clients[0]) if clients else "the container's client (docker exec)"
        words = f"its log goes through {who}, which may have stalled"
        return Sign(Signature.STALLED_CLIENT, words)
    return None


def _named(reader: PipeReader) -> str:
    state = f", state {reader.state}" if reader.state else ""
    return f"{reader.name} (pid {reader.pid}{state})"


def _save_worker(observation: Observation) -> Sign | None:
    """A save that never ends because the process that writes it is gone."""
    process, reading = observation.process, observation.checkpoints
    open_save = reading is not None and reading.writing_bytes is not None
    if process is None or not (open_save or phase_of(observation) is Phase.SAVING):
        return None
    if process.zombies:
        words = f"its child {process.zombies[0]} has died (a zombie) while a checkpoint was written"
    elif observation.history.save_missing:
        words = "a child process of it ended while a checkpoint was being written"
    else:
        return None
    return Sign(Signature.SAVE_WORKER_DEAD, f"{words}: the save will not end")


def _blocked_io(observation: Observation) -> Sign | None:
    process = observation.process
    if process is None or process.state != "D":
        return None
    where = f" in {process.wchan}" if process.wchan else ""
    return Sign(Signature.BLOCKED_IO, f"it waits for a disk or a driver (state D{where})")


def _driver_stuck(machine: MachineReading | None) -> Sign | None:
    said = machine.gpu_problem if machine else None
    if said is None or "not answered" not in said:
        return None
    return Sign(Signature.DRIVER_STUCK, said)


def _thrashing(machine: MachineReading | None) -> Sign | None:
    memory = machine.memory if machine else None
    if memory is None or memory.swap_free_bytes >= memory.swap_total_bytes:
        return None
    full, some = memory.psi_full_avg10 or 0.0, memory.psi_some_avg10 or 0.0
    if full < THRASH_FULL and some < THRASH_SOME:
        return None
    words = f"the machine swaps ({max(full, some):.0f} % of the time tasks wait for memory)"
    return Sign(Signature.SWAP_THRASH, words)


def _latched(observation: Observation) -> Sign | None:
    """Its GPU was its own, and now it is busy with nobody on it."""
    gpus = observation.machine.gpus if observation.machine else ()
    latched = [gpu for gpu in gpus if busy_without_process(gpu)]
    if observation.history.power_median_w is None or not latched:
        return None
    if any(gpu.process_bytes for gpu in gpus):
        return None
    shown = f"GPU {latched[0].index} shows {latched[0].utilisation_percent} % with no process on it"
    words = f"{shown}: what a killed kernel leaves behind, and the trainer is on no GPU any more"
    return Sign(Signature.BUSY_WITHOUT_PROCESS, words)


def _slowed(observation: Observation) -> Sign | None:
    """Low power would look like spinning, and is what a low clock draws."""
    idle_s = observation.ages.cpu_s
    found = None if idle_s is None or idle_s >= IDLE_S else _slowed_gpu(observation)
    if found is None:
        return None
    return Sign(found.signature, f"{found.words}: it may be slow and not hung")


def _slowed_gpu(observation: Observation) -> Sign | None:
    """The first GPU of the run, and of nobody else, that heat or its power state slow down."""
    if observation.gpu_shared:
        return None
    usual = observation.history.clock_median_mhz
    for gpu in gpus_of(observation.machine, observation.process):
        if gpu.age_s <= GPU_FRESH_S and (sign := _slow_gpu_sign(gpu, usual)) is not None:
            return sign
    return None


def _spinning(observation: Observation) -> Sign | None:
    history = observation.history
    if not spins(observation) or history.recent_power_w is None or history.power_low_w is None:
        return None
    least = history.recent_busy_percent or 0.0
    busy = f"its GPU shows {least:.0f} %" + (" or more" if least < 100 else "")
    drawn = f"draws an even {history.recent_power_w:.0f} W"
    usual = f"at work it drew {history.power_low_w:.0f} W at least"
    return Sign(Signature.SPINNING, f"{BY_GPU} {busy}, yet {drawn}; {usual}")


def _by_cpu(observation: Observation) -> Sign:
    idle, shared = observation.ages.cpu_s, _shared_words(observation)
    gpus = gpus_of(observation.machine, observation.process)
    busy = max((gpu.utilisation_percent or 0 for gpu in gpus), default=None)
    on_gpu = "" if busy is None or shared else f", GPU at {busy} %"
    if idle is None:
        return Sign(None, f"what it does cannot be seen{shared}")
    if idle >= IDLE_S:
        words = f"it has used no CPU time for {duration(idle)}{on_gpu}: it waits (a deadlock?)"
        return Sign(Signature.IDLE_DEADLOCK, words + shared)
    words = f"it uses CPU time{on_gpu} and gets nowhere: it spins{shared}"
    return Sign(Signature.SPINNING, words)


def _shared_words(observation: Observation) -> str:
    if not observation.gpu_shared:
        return ""
    return "; others compute on its GPU, whose power and utilisation say nothing about this run"


def _slow_signs(observation: Observation) -> Iterator[Sign]:
    machine = observation.machine
    if machine is None:
        return
    usual = observation.history.clock_median_mhz
    for gpu in gpus_of(machine, observation.process):
        sign = _slow_gpu_sign(gpu, usual)
        if sign is not None:
            yield sign
    memory = machine.memory
    pressure = memory.psi_some_avg10 if memory else None
    if memory and pressure and pressure > 10 and memory.swap_free_bytes < memory.swap_total_bytes:
        words = f"memory is short, it swaps ({pressure:.0f} % of the time waiting)"
        yield Sign(Signature.SWAP_THRASH, words)
    if observation.gpu_shared:
        yield Sign(Signature.CONTENTION, "others compute on its GPU")
    if machine.cpu_percent is not None and machine.cpu_percent > 95:
        words = f"all CPU cores are busy ({machine.cpu_percent:.0f} %)"
        yield Sign(Signature.CONTENTION, words)


def _slow_gpu_sign(gpu: GpuReading, usual_mhz: float | None) -> Sign | None:
    slowdowns = [each for each in gpu.throttle if each in SLOWDOWNS]
    if slowdowns:
        words = f"GPU {gpu.index} is throttled ({', '.join(slowdowns)})"
        return Sign(Signature.THERMAL, words)
    if not _clocked_down(gpu, usual_mhz):
        return None
    words = f"GPU {gpu.index} runs at only {gpu.sm_clock_mhz} MHz, a stuck power state"
    return Sign(Signature.POWER_STATE, words)


def _clocked_down(gpu: GpuReading, usual_mhz: float | None) -> bool:
    """A GPU at work far below its usual clock in this run, or below what any healthy one has."""
    clock, busy = gpu.sm_clock_mhz, gpu.utilisation_percent
    if gpu.throttle or clock is None or busy is None:  # the driver itself says why
        return False
    return busy > 50 and clock < max(LOW_CLOCK_MHZ, LOW_CLOCK_SHARE * (usual_mhz or 0.0))
