"""On which file system a path of a process lies, and whether it answers.

The rule: only a child asks it. A file server that is gone holds whoever asks, and not even SIGKILL
may free it; so the child is left behind, never waited for.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time

from monitor.diagnosis.places import FileSystem
from monitor.frozen import replace
from monitor.probes.raw import read_proc
from monitor.probes.text import clean_line

ANSWER_S = 2.0
_ASK = (
    "import os, sys, time; began = time.monotonic(); os.statvfs(sys.argv[1]); "
    "print(time.monotonic() - began)"
)
_OCTAL = re.compile(r"\\([0-7]{3})")
_LEFT: list[subprocess.Popen[bytes]] = []
"""Children that could not be waited for."""


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
    """The same, with how long it took to answer *here*, through the root of *pid*."""
    began = time.monotonic()
    path = f"/proc/{pid}/root{found.point}"
    try:
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _ASK, path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return found
    try:
        said, _ = child.communicate(timeout=wait_s)
    except subprocess.TimeoutExpired:
        child.kill()
        _LEFT.append(child)
        return replace(found, silent_s=time.monotonic() - began)
    try:
        return replace(found, answer_s=float(said))
    except ValueError:
        return found  # this user may not ask


def _unescaped(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
