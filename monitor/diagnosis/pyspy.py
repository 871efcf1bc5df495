"""Stacks of a process by py-spy, from the outside and without pausing it.

The rule: `--nonblocking` always, so that a healthy run loses nothing; a sample that fails is no
sample, and a right that is missing is named with the way to have it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.diagnosis.values import Frame, Stack
from monitor.probes.text import clean_line

DUMP_S = 2.0
"""One dump takes some 30 ms; a machine that swaps takes longer."""
_YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")


@dataclass(frozen=True, slots=True)
class Dump:
    """The stacks of one process at one instant, or why there are none."""

    stacks: tuple[Stack, ...] = ()
    problem: str | None = None
    refused: bool = False
    """The kernel does not let this user look."""


def find_pyspy() -> str | None:
    """py-spy beside our own Python, where it is installed with us, else on the PATH."""
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("py-spy")


def dump(program: str, pid: int) -> Dump:
    """Take the stacks of *pid* once. Never raises."""
    argv = [program, "dump", "--nonblocking", "--json", "--full-filenames", "--pid", str(pid)]
    try:
        done = subprocess.run(
            argv, capture_output=True, timeout=DUMP_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return Dump(problem=f"py-spy gave no stacks of pid {pid} within {DUMP_S:.0f} s")
    except OSError as error:
        return Dump(problem=f"py-spy cannot be run: {error.strerror or error}")
    if done.returncode == 0:
        return parse_dump(done.stdout)
    said = clean_line(done.stderr.strip().replace(b"\n", b" "))
    refused = any(word in said.lower() for word in ("permission denied", "eperm", "not permitted"))
    return Dump(problem=f"py-spy on pid {pid}: {said}", refused=refused)


def parse_dump(raw: bytes) -> Dump:
    """Read the JSON of `py-spy dump`; a thread without a Python stack is left out."""
    try:
        return Dump(tuple(_stack(each) for each in json.loads(raw) if each["frames"]))
    except (ValueError, TypeError, KeyError):
        return Dump(problem="what py-spy said is not understood")


def _stack(each: dict[str, Any]) -> Stack:
    tid, name = each.get("os_thread_id"), each.get("thread_name")
    return Stack(
        pid=int(each["pid"]),
        tid=int(tid) if tid is not None else None,
        name=clean_line(str(name)) if name else None,
        frames=tuple(
            Frame(clean_line(str(it["name"])), clean_line(str(it["filename"])), int(it["line"]))
            for it in each["frames"]
        ),
    )


def missing_right(pid: int) -> str:
    """Why this user may not look into *pid*, and how it could be allowed."""
    way = "run `lanewatch diagnose` as root"
    owner = _owner(pid)
    if owner not in (None, os.geteuid()):
        return f"stacks: the process is uid {owner}'s; {way}, or as that user"
    if _shut(pid):
        return f"stacks: the process forbids ptrace (PR_SET_DUMPABLE 0); {way}"
    try:
        scope = _YAMA.read_text(encoding="ascii").strip()
    except OSError:
        scope = "0"
    if scope != "0":
        allow = "`sudo sysctl kernel.yama.ptrace_scope=0`"
        return f"stacks: kernel.yama.ptrace_scope is {scope}; {way}, or {allow}"
    return f"stacks: the kernel refuses ptrace (CAP_SYS_PTRACE is missing); {way}"


def _owner(pid: int) -> int | None:
    """The uid that the process runs as."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        line = next(each for each in text.splitlines() if each.startswith("Uid:"))
        return int(line.split()[2])
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def _shut(pid: int) -> bool:
    """The files below its folder in /proc, not the folder, are root's where it is not dumpable."""
    try:
        return Path(f"/proc/{pid}/stat").stat().st_uid != _owner(pid)
    except OSError:
        return False
