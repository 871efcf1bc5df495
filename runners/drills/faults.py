"""How a trainer misbehaves, for real. Each takes the trainer at the end of an iteration.

The rule: nothing here tells the watcher anything; it is only noted for the person who looks on.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from monitor.probes.clock import RATE
from runners.drills import kernel
from runners.drills.trainer import Trainer

LONGEST_S = 600.0
"""Real seconds after which a hung trainer ends itself, should its director be gone."""
MEMORY_BYTES = 96 << 20
MAP_POPULATE = 0x8000
"""From linux/mman.h; Python knows it since 3.10, but not everywhere."""
CHUNK_BYTES = 4 << 20
PR_SET_DUMPABLE = 4
"""From linux/prctl.h."""
AHEAD_S = 3600
BACK_S = -1800
DAY_S = 86400


def stop_self(trainer: Trainer) -> None:
    trainer.notes.stopped(os.getpid(), "the trainer is stopped (SIGSTOP)")
    os.kill(os.getpid(), signal.SIGSTOP)
    trainer.notes.say("the trainer was continued (SIGCONT)")


def stop_reader(trainer: Trainer) -> None:
    reader = trainer.reader
    assert reader is not None
    trainer.notes.stopped(reader, "the filter that reads its stdout is stopped (SIGSTOP)")
    os.kill(reader, signal.SIGSTOP)


def deadlock(trainer: Trainer) -> None:
    _end_at_last()
    ours, theirs, both = threading.Lock(), threading.Lock(), threading.Barrier(2)

    def other() -> None:
        with theirs:
            both.wait()
            with ours:
                pass

    threading.Thread(target=other, name="other", daemon=True).start()
    trainer.notes.say("two threads wait for each other's lock")
    with ours:
        both.wait()
        with theirs:
            pass


def forbid_ptrace(trainer: Trainer) -> None:
    trainer.notes.say("the trainer forbids that others look into it (PR_SET_DUMPABLE 0)")
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def spin(trainer: Trainer) -> None:
    _end_at_last()
    trainer.notes.say("a thread spins, the others wait for it")

    def turn() -> None:
        while True:
            trainer.model.descend()

    turning = threading.Thread(target=turn, name="spins", daemon=True)
    turning.start()
    turning.join()


def crash(trainer: Trainer) -> None:
    trainer.notes.say("the trainer raises an exception")
    raise RuntimeError("mat1 and mat2 shapes cannot be multiplied (16x4096 and 2048x64)")


def die(trainer: Trainer) -> None:
    trainer.notes.say("the process that trains is killed (SIGKILL)")
    os.kill(os.getpid(), signal.SIGKILL)


def exhaust_memory(trainer: Trainer) -> None:
    """Be killed by the kernel where a control group may be made; else meet an own limit."""
    try:
        group = kernel.enter_memory_group(MEMORY_BYTES)
    except OSError as error:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        trainer.notes.say(
            f"it takes memory up to a limit of its own (RLIMIT_AS): no control group could be "
            f"made here ({error.strerror}), so it is Python that says no, not the kernel"
        )
    else:
        trainer.notes.say(
            f"it takes memory until the kernel kills it in a group of {MEMORY_BYTES >> 20} MiB",
            group=str(group),
        )
    while True:
        trainer.held.append(bytearray(b"\1" * CHUNK_BYTES))


def lose_checkpoint(trainer: Trainer) -> None:
    newest = trainer.contract.checkpoints.latest()
    assert newest is not None
    trainer.notes.say(f"someone deletes the newest checkpoint, iteration {newest}")
    shutil.rmtree(trainer.contract.checkpoints.path(newest))


def fill_disk(trainer: Trainer) -> None:
    ballast = trainer.contract.work / "ballast"
    trainer.notes.say("something fills the disk of the run", ballast=str(ballast))
    with ballast.open("wb", buffering=0) as stream:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    stream.write(bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


def clock_ahead(trainer: Trainer) -> None:
    _jump(trainer, AHEAD_S, DAY_S)


def clock_back(trainer: Trainer) -> None:
    _jump(trainer, BACK_S, -DAY_S)


def _jump(trainer: Trainer, monotonic_s: int, wall_s: int) -> None:
    """Go on in a process whose monotonic clock is another; what was written is of another day."""
    before = time.monotonic()
    _go_on_in_a_child(monotonic_s)
    jump_s = time.monotonic() - before
    trainer.notes.say(f"the monotonic clock of the trainer jumps by {jump_s:+.0f} s")
    wall = time.time() + wall_s
    written = (trainer.contract.run_dir / "logs" / "train.log", trainer.contract.checkpoints.folder)
    for path in (*written, *trainer.contract.checkpoints.folder.iterdir()):
        os.utime(path, (wall, wall))


def _go_on_in_a_child(offset_s: int) -> None:
    """A process cannot change its own clocks, only those of the children it will have."""
    kernel.offset_clock_of_children(offset_s)
    child = os.fork()
    if child == 0:
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda sent, _: os.kill(child, sent))
    _, status = os.waitpid(child, 0)
    sys.stdout.flush()
    os._exit(os.waitstatus_to_exitcode(status))


def diverge(trainer: Trainer) -> None:
    trainer.notes.say("the learning rate is far too large now: the loss leaves the numbers")
    trainer.model.rate = 1e9


def climb(trainer: Trainer) -> None:
    trainer.notes.say("the trainer begins to take memory, 2 MiB a second")
    most = trainer.script.most_bytes // CHUNK_BYTES

    def take() -> None:
        while len(trainer.held) < most:
            trainer.held.append(bytearray(b"\1" * CHUNK_BYTES))
            time.sleep(CHUNK_BYTES / (2 << 20) / RATE)

    threading.Thread(target=take, daemon=True).start()


def burst(trainer: Trainer) -> None:
    trainer.notes.say(f"the trainer takes {trainer.script.most_bytes >> 20} MiB at once")
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_POPULATE
    trainer.maps.append(mmap.mmap(-1, trainer.script.most_bytes, flags=flags))


def _end_at_last() -> None:
    """Should nobody come, end by SIGALRM: a drill leaves no hung process behind."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, LONGEST_S)


FAULTS: Mapping[str, Callable[[Trainer], None]] = {
    each.__name__: each
    for each in (
        stop_self,
        stop_reader,
        deadlock,
        forbid_ptrace,
        spin,
        crash,
        die,
        exhaust_memory,
        lose_checkpoint,
        fill_disk,
        clock_ahead,
        clock_back,
        diverge,
        climb,
        burst,
    )
}
