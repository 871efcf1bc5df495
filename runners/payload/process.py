"""Make this process a good subject of observation. The rule: nothing here can end a stage."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

STOP_SAVE = "save"
STOP_NOW = "now"

_PR_SET_PTRACER = 0x59616D61
"""From linux/prctl.h: which process may attach with ptrace under the Yama security module."""

_PR_SET_PTRACER_ANY = ctypes.c_ulong(-1)
_STDERR = 2
"""The descriptor: a library may put something else in the place of sys.stderr."""

_LOCK_TRIES = 50
_LOCK_PAUSE_S = 0.1


def hold_lock(path: Path) -> int | None:
    """Hold a shared lock on *path* until this process ends; return its descriptor.

    None when it cannot be had within 5 s: whoever asks for an exclusive one holds it briefly.
    The descriptor, like one that our starter handed down, is closed on exec, so that no program
    started by the trainer keeps the run "alive".
    """
    _keep_from_children(path)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            time.sleep(_LOCK_PAUSE_S)
        else:
            return descriptor
    os.close(descriptor)
    return None


def _keep_from_children(path: Path) -> None:
    with contextlib.suppress(OSError):
        lock = path.stat()
        for entry in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(int(entry.name)), lock):
                    os.set_inheritable(int(entry.name), False)


def watch_signals(request_stop: Callable[[str], None]) -> None:
    """SIGTERM asks for save-and-stop, SIGINT for stop; SIGHUP (a closed terminal) is ignored."""

    def asked(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature is given
        request_stop(STOP_SAVE if number == signal.SIGTERM else STOP_NOW)

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def allow_diagnosis() -> None:
    """SIGUSR1 prints every thread's stack to the log, and any process of this user may attach."""
    with contextlib.suppress(Exception):
        faulthandler.register(signal.SIGUSR1, file=_STDERR, all_threads=True)
    with contextlib.suppress(Exception):
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _PR_SET_PTRACER_ANY, 0, 0, 0)


def boot_id() -> str:
    """The kernel's name for this boot, or "" where it cannot be read."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def say(text: str, *, error: bool = False) -> None:
    """Write a line to the log at once; a log that cannot be written ends nothing."""
    with contextlib.suppress(Exception):
        stream = sys.stderr if error else sys.stdout
        stream.write(text + "\n")
        stream.flush()


def end_process(code: int) -> None:
    """End now: a driver that hangs in its clean-up must not keep a finished stage alive."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
