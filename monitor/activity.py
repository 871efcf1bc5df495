"""Marks of what a trainer uses, and of states in which it cannot get on. Pure.

The rule: activity proves no progress. Only its lasting absence says something, and a state that the
kernel names.
"""

from __future__ import annotations

from monitor.facts import gpu_shared, gpus_of, own_power
from monitor.limits import POWER_SHARE
from monitor.marks import Look, Mark
from monitor.model import GpuReading, ProcessReading

CPU_IDLE_SHARE = 0.05
"""Of one core: what the housekeeping threads of a deadlocked trainer may use."""
WRITTEN_IDLE_BYTES = 4096.0
"""Per second: threads wake one another through descriptors even when nothing is written."""
GPU_IDLE_PERCENT = 5
POWER_IDLE_FACTOR = 1.2
"""Times the lowest power seen."""
POWER_IDLE_SHARE = 0.5
"""Of the run's own median: the lowest power seen is that of an idle GPU only far below it."""
PIPE_WAITS = frozenset({"pipe_write", "anon_pipe_write", "pipe_wait"})
"""Where the kernel holds a writer to a full pipe; the name changed with the kernel."""


TERMINAL_WAITS = frozenset({"wait_woken", "n_tty_write"})
"""Where it holds a writer to a terminal; the first of them holds others, too."""
STOPPED = ("T", "t")
"""States of a process that a signal has stopped."""


def activity_marks(look: Look) -> dict[str, Mark | None]:
    """Marks that move while something is used; the first reading counts as use."""
    process = look.facts.process
    cpu = process.cpu_s if process else None
    written = process.written_bytes if process else None
    cpu_mark = _used(look, "cpu", cpu, look.before.cpu_s, CPU_IDLE_SHARE)
    written_mark = _used(look, "written", written, look.before.written_bytes, WRITTEN_IDLE_BYTES)
    moved = {
        name
        for name, mark in (("cpu", cpu_mark), ("written", written_mark))
        if mark is not look.before.marks.get(name)
    }
    return {
        "cpu": cpu_mark,
        "written": written_mark,
        "gpu": _gpu_mark(look),
        "powered": _powered_mark(look),
        "computing": _computing_mark(look, cpu),
        "alive": look.mark("alive", "" if process and process.alive else None),
        "gone": _gone_mark(look),
        "excluded": _excluded_mark(look, moved),
    }


def idle_power(look: Look) -> float | None:
    """The lowest power that a GPU of the run was seen to draw."""
    powers = [gpu.power_w for gpu in gpus_of(look.facts.machine, look.facts.process)]
    known = [watts for watts in (*powers, look.before.idle_power_w) if watts is not None]
    return min(known) if known else None


def blocked_in_pipe(process: ProcessReading) -> bool:
    """True when the kernel holds it, or one of its threads, in a write to a full pipe."""
    pipe = process.pipe
    piped = pipe is not None and pipe.writer_blocked and pipe.terminal is None
    return process.wchan in PIPE_WAITS or piped


def blocked_in_terminal(process: ProcessReading) -> bool:
    """True when one of its threads is held in a write to a terminal that takes nothing more."""
    pipe = process.pipe
    return pipe is not None and pipe.writer_blocked and pipe.terminal is not None


def held_back(process: ProcessReading) -> bool:
    """What it writes is seen to get nowhere, or to stop at a reader further down."""
    if blocked_in_pipe(process) or blocked_in_terminal(process):
        return True
    readers = process.pipe.readers if process.pipe is not None else ()
    return any(each.state in STOPPED or each.terminal is not None for each in readers)


def excluded_by(process: ProcessReading) -> str | None:
    """Name the state in which it cannot get on: stopped, pipe, terminal, disk; None: it can."""
    if process.state in STOPPED:
        return "stopped"
    if blocked_in_pipe(process):
        return "pipe"
    if blocked_in_terminal(process):
        return "terminal"
    return "disk" if process.state == "D" else None


def _excluded_mark(look: Look, moved: set[str]) -> Mark | None:
    """Since when it cannot get on; a look at which it did something begins anew.

    One look may catch a healthy trainer waiting for its disk, or for a reader that is merely slow.
    """
    process, known = look.facts.process, look.before.marks.get("excluded")
    if process is None:
        return known
    why = excluded_by(process) if process.alive else None
    if why is None:
        return None
    held = process.wchan in (PIPE_WAITS if why == "pipe" else TERMINAL_WAITS)
    acted = "written" in moved or _log_grew(look) or ("cpu" in moved and not held)
    if known is not None and known.key == why and (why == "stopped" or not acted):
        return known
    return Mark(why, look.observed_s)


def _log_grew(look: Look) -> bool:
    log, known = look.facts.log, look.before.marks.get("log")
    return log is not None and known is not None and known.key != f"{log.path}|{log.size_bytes}"


def _used(
    look: Look, name: str, total: float | None, before: float | None, idle: float
) -> Mark | None:
    """A total that rose faster than *idle* per second; one that fell is another process's.

    Per second that was observed: a machine that slept for hours used nothing meanwhile, and the
    little that its trainer did around that is not to look like idleness.
    """
    known = look.before.marks.get(name)
    if total is None:
        return known
    if known is None or before is None or total < before:
        return Mark("", look.observed_s)
    seen_s = look.observed_s - look.before.observed_s
    if seen_s <= 0 or (total - before) / seen_s <= idle:
        return known
    return Mark("", look.observed_s)


def _gpu_mark(look: Look) -> Mark | None:
    known = look.before.marks.get("gpu")
    gpus = gpus_of(look.facts.machine, look.facts.process)
    if not gpus or gpu_shared(look.facts.machine, look.facts.process):
        return known  # what others compute says nothing about this run
    if any(_works(look, gpu) for gpu in gpus):
        return Mark("", look.observed_s)
    return known or Mark("", look.observed_s)


def _powered_mark(look: Look) -> Mark | None:
    known, usual = look.before.marks.get("powered"), look.before.learnt.power.working.median()
    watts = own_power(look.facts.machine, look.facts.process)
    if usual is None or watts is None or watts < POWER_SHARE * usual:
        # What it drew before another watcher was there is long ago.
        return None if look.before.restored else known
    return Mark("", look.observed_s)


def _computing_mark(look: Look, cpu_s: float | None) -> Mark | None:
    """Since when it has not used the CPU as it does at work; housekeeping alone is no work.

    What it did while nobody looked is not known, and counts as use, as a first reading does.
    """
    known, usual = look.before.marks.get("computing"), look.before.learnt.use.cores.median()
    before, seen_s = look.before.cpu_s, look.observed_s - look.before.observed_s
    if usual is None or cpu_s is None:
        return known
    if look.gap or before is None:
        return Mark("", look.observed_s)
    if seen_s <= 0:
        return known
    used = (cpu_s - before) / seen_s
    return Mark("", look.observed_s) if used > max(CPU_IDLE_SHARE, POWER_SHARE * usual) else known


def _gone_mark(look: Look) -> Mark | None:
    """Since when a process that was seen to live is gone."""
    process, known = look.facts.process, look.before.marks.get("gone")
    if process is None:
        return known
    if process.alive or "alive" not in look.before.marks:
        return None
    return known or Mark("", look.observed_s)


def _works(look: Look, gpu: GpuReading) -> bool:
    """Whether a GPU is used at all. A hung one may say 96 % while it draws what it draws idle."""
    watts, lowest = gpu.power_w, look.before.idle_power_w
    low = watts is not None and lowest is not None and watts <= POWER_IDLE_FACTOR * lowest
    if gpu.utilisation_percent is None:
        return watts is not None and lowest is not None and not low
    if gpu.utilisation_percent <= GPU_IDLE_PERCENT:
        return False
    usual = look.before.learnt.power.working.median()
    far_below = watts is not None and usual is not None and watts <= POWER_IDLE_SHARE * usual
    return not (low and far_below)
