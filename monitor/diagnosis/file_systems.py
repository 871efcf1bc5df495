"""On which file system a path of a process lies, and whether it answers.

The rule: only a child asks it. A file server that is gone holds whoever asks, and not even SIGKILL
may free it; so the child is left behind, never waited for.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

from monitor.diagnosis.places import FileSystem
from monitor.frozen import replace
from monitor.probes.process import name_and_state
from monitor.probes.raw import read_proc
from monitor.probes.text import clean_line

ANSWER_S = 2.0
START_S = 2.0
_ASK = (
    "import os, sys, time; print(flush=True); began = time.monotonic(); os.statvfs(sys.argv[1]); "
    "print(time.monotonic() - began)"
)
_OCTAL = re.compile(r"\\([0-7]{3})")
_LEFT: list[subprocess.Popen[bytes]] = []
"""Children that could not be waited for; each is asked again whether it has ended."""


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


def asked(found: FileSystem, pid: int, wait_s: float = ANSWER_S) -> FileSystem:
    """The same, with how long it took to answer here, through the root of *pid*."""
    answer_s, silent_s = ask(f"/proc/{pid}/root{found.point}", wait_s)
    return replace(found, answer_s=answer_s, silent_s=silent_s)


def silent(path: Path) -> FileSystem | None:
    """The file system of *path*, as this process sees it, if it does not answer."""
    _, silent_s = ask(str(path), ANSWER_S)
    if silent_s is None:
        return None
    found = file_system_of(os.getpid(), str(path)) or FileSystem(
        point=clean_line(str(path)), kind="?", source="?"
    )
    return replace(found, silent_s=silent_s)


def ask(path: str, wait_s: float) -> tuple[float | None, float | None]:
    """(how long it took to answer, or for how long it has not); neither: it cannot be told.

    A machine that is too busy to run the child at all says nothing of the file system.
    """
    _LEFT[:] = [each for each in _LEFT if each.poll() is None]
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
        begun = _read(stream.fileno(), START_S, 1)
        began = time.monotonic()
        said = _read(stream.fileno(), wait_s, 256) if begun else b""
    if said is None:
        waits_s, held = time.monotonic() - began, name_and_state(child.pid)
        child.kill()
        _LEFT.append(child)
        return None, waits_s if held is not None and held[1] in "DS" else None
    child.kill()
    child.wait()
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
