"""Stacks that a trainer of ours writes of itself, where nobody may look into it: SIGUSR1.

The rule: the signal ends a process without a handler. It is sent only to a run of ours whose
payload has one (SigCgt), that does not advance, and whose stderr is not known to be a full pipe.
"""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

from monitor.diagnosis.values import Frame, Stack
from monitor.model import ProcessId
from monitor.probes.process import is_alive
from monitor.probes.text import clean_line

ANSWER_S = 1.5
SETTLE_S = 0.1
READ_BYTES = 256 << 10
_THREAD = re.compile(rb"^(Current thread|Thread) 0x[0-9a-f]+ (?:\[(.*?)\] )?\(most recent call")
_FRAME = re.compile(rb'^  File "(.*)", line (\d+) in (.*)$')


def catches_usr1(pid: int) -> bool:
    """Whether *pid* has a handler of its own for SIGUSR1."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) >> (signal.SIGUSR1 - 1) & 1)
    except (OSError, StopIteration, ValueError, IndexError):
        return False


def ask(process: ProcessId, log: Path, limit_s: float = ANSWER_S) -> tuple[Stack, ...]:
    """Have *process* write its stacks into *log*, and read them there. Never raises.

    It is over within *limit_s* seconds; where that is too short, nothing is asked.
    """
    if limit_s <= 2 * SETTLE_S:
        return ()
    try:
        before = log.stat().st_size
        if not is_alive(process) or not catches_usr1(process.pid):
            return ()
        os.kill(process.pid, signal.SIGUSR1)
        return parse_log(_answer(log, before, limit_s - SETTLE_S), process.pid)
    except OSError:
        return ()


def _answer(log: Path, before: int, limit_s: float) -> bytes:
    """What was added to *log*, once it has stopped to grow."""
    deadline, size = time.monotonic() + limit_s, before
    while time.monotonic() < deadline:
        time.sleep(SETTLE_S)
        now = log.stat().st_size
        if now == size and now > before:
            break
        size = now
    with log.open("rb") as stream:
        stream.seek(before)
        return stream.read(READ_BYTES)


def parse_log(raw: bytes, pid: int) -> tuple[Stack, ...]:
    """Read what faulthandler wrote: the thread that took the signal is the main one, and last."""
    found: list[tuple[bool, str | None, list[Frame]]] = []
    for line in raw.splitlines():
        if (head := _THREAD.match(line)) is not None:
            name = clean_line(head.group(2)) if head.group(2) else None
            found.append((head.group(1) != b"Thread", name, []))
        elif found and (call := _FRAME.match(line)) is not None:
            file, number, function = call.groups()
            found[-1][2].append(Frame(clean_line(function), clean_line(file), int(number)))
    return tuple(
        Stack(
            pid=pid,
            tid=pid if current else None,
            name="MainThread" if current else name or f"{number + 1}",
            frames=tuple(frames),
        )
        for number, (current, name, frames) in enumerate(found)
        if frames
    )
