"""What a keeper asks of the kernel: its locks, its orphans, and to outlive its terminal."""

from __future__ import annotations

import ctypes
import fcntl
import logging
import os
import signal
import time
from pathlib import Path

from runners.errors import RunStateError

logger = logging.getLogger(__name__)

READY_FD = "LANEWATCH_READY_FD"
"""Names the pipe on which whoever started a keeper waits for its first word."""

PR_SET_CHILD_SUBREAPER = 36
"""From linux/prctl.h."""


def take_alone(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + 0.5  # a reader that tests the lock holds it for an instant
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                run = path.parent.name
                raise RunStateError(
                    f"run {run} is under way: it already has a keeper; nothing was done"
                ) from None
            time.sleep(0.02)
        else:
            return descriptor


def take_shared(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def someone_else_lives(run_lock: int) -> bool:
    """True while anyone but the holder of *run_lock*, a shared one, holds it too."""
    try:
        fcntl.flock(run_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        fcntl.flock(run_lock, fcntl.LOCK_SH)
    return False


def reap_strangers(*ours: int | None) -> None:
    """Bury orphans that came to us as their reaper, and leave our own children to their waiters."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in ours:
            return
        os.waitpid(ended.si_pid, os.WNOHANG)


def oom_kills() -> int:
    """How many processes the kernel has killed for want of memory since boot (/proc/vmstat)."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def tell_starter(line: str) -> None:
    """Answer whoever started this keeper and waits at the other end of a pipe."""
    descriptor = os.environ.pop(READY_FD, None)
    if descriptor is None:
        return
    try:
        os.write(int(descriptor), line.encode())
        os.close(int(descriptor))
    except OSError:
        logger.info("the starter of this keeper is gone")


def detach() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # A handler, not SIG_IGN: that would be inherited, and a stage that was asked to stop before it
    # could listen would never hear of it.
    signal.signal(signal.SIGINT, lambda *_: None)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
