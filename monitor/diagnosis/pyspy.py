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
from typing import Any, Protocol

from monitor.diagnosis.children import REAP_S, end_child
from monitor.diagnosis.namespaces import as_here, is_inside, threads_inside
from monitor.diagnosis.values import Frame, Stack
from monitor.frozen import replace
from monitor.probes.text import clean_line

DUMP_S = 2.0
"""One dump takes some 30 ms; a machine that swaps takes longer."""
NATIVE_S = 8.0
"""Reading the symbols of a trainer's libraries takes seconds; meanwhile it runs on."""
_REFUSALS = ("permission denied", "eperm", "not permitted")


@dataclass(frozen=True, slots=True)
class Dump:
    """The stacks of one process at one instant, or why there are none."""

    stacks: tuple[Stack, ...] = ()
    problem: str | None = None
    refused: bool = False
    """The kernel does not let this user look."""
    foreign: bool = False
    """There is no Python in it; asking again is of no use."""


class Spy(Protocol):
    """Who takes the stacks: py-spy here, or one in a container beside the trainer."""

    dump_s: float
    native_s: float
    """The most that a dump may need."""

    def dump(self, pid: int, *, native: bool = False, limit_s: float) -> Dump:
        """The stacks of *pid* (as this machine counts) now; *native* ones pause it shortly.

        It is over within *limit_s* seconds.
        """
        ...

    def available(self) -> str | None:
        """Why there are no stacks from here at all; None where there may be some."""
        ...


class HostSpy:
    """py-spy as this user, on this machine; a container's processes are of this machine too."""

    dump_s, native_s = DUMP_S, NATIVE_S

    def __init__(self) -> None:
        self._program = find_pyspy()

    def available(self) -> str | None:
        if self._program is not None:
            return None
        return "stacks: py-spy is not installed; pip install py-spy==0.4.3"

    def dump(self, pid: int, *, native: bool = False, limit_s: float = DUMP_S) -> Dump:
        got = dump(self._program or "", pid, native=native, limit_s=limit_s)
        if not got.stacks or not is_inside(pid):
            return got
        return replace(got, stacks=as_here(got.stacks, pid, threads_inside(pid)))


def find_pyspy() -> str | None:
    """py-spy beside our own Python, where it is installed with us, else on the PATH."""
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("py-spy")


def dump_argv(program: str, pid: int, *, native: bool) -> list[str]:
    """The command line. Native frames cannot be had of a process that goes on meanwhile."""
    how = "--native" if native else "--nonblocking"
    return [program, "dump", how, "--json", "--full-filenames", "--pid", str(pid)]


def dump(program: str, pid: int, *, native: bool = False, limit_s: float = DUMP_S) -> Dump:
    """Take the stacks of *pid* once. Never raises."""
    try:
        child = subprocess.Popen(
            dump_argv(program, pid, native=native),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        return Dump(problem=f"py-spy cannot be run: {error.strerror or error}")
    try:
        out, said = child.communicate(timeout=max(0.0, limit_s - REAP_S))
    except subprocess.TimeoutExpired:
        end_child(child)
        return Dump(problem=f"py-spy gave no stacks of pid {pid} within {limit_s:.0f} s")
    if child.returncode == 0:
        return parse_dump(out)
    return failed_dump(pid, said)


def failed_dump(pid: int, stderr: bytes) -> Dump:
    """What py-spy says where it has no stacks, without its own backtrace."""
    said = clean_line(stderr.partition(b"Stack backtrace:")[0].strip().replace(b"\n", b" "))
    low = said.lower()
    return Dump(
        problem=f"py-spy on pid {pid}: {said}",
        refused=any(word in low for word in _REFUSALS),
        foreign="failed to find python" in low or "no python" in low,
    )


def parse_dump(raw: bytes) -> Dump:
    """Read the JSON of `py-spy dump`; a thread without a Python stack is left out."""
    try:
        return Dump(tuple(_stack(each) for each in json.loads(raw) if each["frames"]))
    except (ValueError, TypeError, KeyError):
        return Dump(problem="what py-spy said is not understood")


def _stack(each: dict[str, Any]) -> Stack:
    tid, name = each.get("os_thread_id"), each.get("thread_name")
    active = each.get("active")
    return Stack(
        pid=int(each["pid"]),
        tid=int(tid) if tid is not None else None,
        name=clean_line(str(name)) if name else None,
        active=active if isinstance(active, bool) else None,
        frames=tuple(
            Frame(clean_line(str(it["name"])), clean_line(str(it["filename"])), int(it["line"]))
            for it in each["frames"]
        ),
    )
