"""On which file system a path of a process lies, and whether it answers.

The rule: only a child asks it. A file server that is gone holds whoever asks, and not even SIGKILL
may free it; so the child is left behind, never waited for.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

from monitor.diagnosis.children import REAP_S, end_child
from monitor.diagnosis.places import FileSystem
from monitor.frozen import replace
from monitor.probes.process import name_and_state
from monitor.probes.raw import read_proc
from monitor.probes.text import clean_line

LIMIT_S = 4.0
"""Half of it to start the child, half for the answer."""
LEAST_S = 0.5
"""With less time left nothing is asked: a busy machine alone may take as long."""
_ASK = (
    "import os, sys, time; print(flush=True); began = time.monotonic(); os.statvfs(sys.argv[1]); "
    "print(time.monotonic() - began)"
)
_OCTAL = re.compile(r"\\([0-7]{3})")


def file_system_of(pid: int, path: str) -> FileSystem | None:
    """Where *path*, as *pid* sees it, lies; by its own table of mounts."""
    try:
        table = read_proc(f"/proc/{pid}/mountinfo", 1 << 20).decode("utf-8", "replace")
    except OSError:
        return None
    return mount_of(path, table)


def mount_of(path: str, table: str) -> FileSystem | None:
    """The mount of a mountinfo that holds *path*: the deepest, of equals the later."""
    found: FileSystem | None = None
    for line in table.splitlines():
        fields, dash, rest = line.partition(" - ")
        words, what = fields.split(" "), rest.split(" ")
        if not dash or len(words) < 5 or len(what) < 2:
            continue
        point = _unescaped(words[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and (found is None or len(point) >= len(found.point)):
            source = clean_line(_unescaped(what[1]))
            found = FileSystem(point=clean_line(point), kind=clean_line(what[0]), source=source)
    return found


def asked(found: FileSystem, pid: int, limit_s: float = LIMIT_S) -> FileSystem:
    """The same, with how long it took to answer here, through the root of *pid*."""
    answer_s, silent_s = ask(f"/proc/{pid}/root{found.point}", limit_s)
    return replace(found, answer_s=answer_s, silent_s=silent_s)


def silent(path: Path, limit_s: float = LIMIT_S) -> FileSystem | None:
    """The file system of *path*, as this process sees it, if it does not answer."""
    _, silent_s = ask(str(path), limit_s)
    if silent_s is None:
        return None
    with contextlib.suppress(OSError):  # a link lies where it answers; what it leads to does not
        path = path.parent / os.readlink(path)  # noqa: PTH115 - never resolved any further
    found = file_system_of(os.getpid(), str(path)) or FileSystem(
        point=clean_line(str(path)), kind="?", source="?"
    )
    return replace(found, silent_s=silent_s)


def ask(path: str, limit_s: float) -> tuple[float | None, float | None]:
    """(how long it took to answer, or for how long it has not); neither: it cannot be told.

    A machine that is too busy to run the child at all says nothing of the file system, nor does
    one that was given no time: it is over within *limit_s* seconds.
    """
    if limit_s < LEAST_S:
        return None, None
    wait_s = (limit_s - REAP_S) / 2
    try:
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _ASK, path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )
    except OSError:
        return None, None
    assert child.stdout is not None
    with child.stdout as stream:
        begun = _read(stream.fileno(), wait_s, 1)
        began = time.monotonic()
        said = _read(stream.fileno(), wait_s, 256) if begun else b""
    if said is None:
        waits_s, held = time.monotonic() - began, name_and_state(child.pid)
        end_child(child)
        held_up = held is not None and held[1] in "DS" and waits_s >= LEAST_S / 2
        return None, waits_s if held_up else None
    end_child(child)
    try:
        return float(said), None
    except ValueError:
        return None, None  # there is no such path, or this user may not ask


def _read(descriptor: int, wait_s: float, size: int) -> bytes | None:
    """What comes next; empty at the end, None where nothing has come in time."""
    ready, _, _ = select.select([descriptor], [], [], wait_s)
    return os.read(descriptor, size) if ready else None


def _unescaped(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
