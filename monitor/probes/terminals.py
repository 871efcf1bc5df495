"""Which terminal a process writes to, whether that write is held, and who is on its other side.

The rule: only a write that the kernel holds now says anything. Flow control (Ctrl-S) itself cannot
be read from outside; a terminal that is merely scrolled back is not claimed to hold anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from monitor.probes.raw import list_names, read_proc

THREADS_LIMIT = 512
FILES_LIMIT = 4096
_WAITS = frozenset({"wait_woken", "n_tty_write", "tty_write_lock", "file_tty_write"})
"""Where the kernel holds a writer to a terminal; a reader of one waits in the first as well."""
_WRITES = {"x86_64": (b"1", b"20"), "aarch64": (b"64", b"66")}
"""Numbers of write and writev."""


def terminal_of(pid: int | str, number: int | str) -> str | None:
    """The terminal behind a descriptor, as "/dev/pts/3"; None for anything else or where hidden."""
    try:
        link = os.readlink(f"/proc/{pid}/fd/{number}")  # noqa: PTH115 - a name, not followed
    except OSError:
        return None
    return link if re.fullmatch(r"/dev/(pts/\d+|tty\w*|console)", link) else None


def held_terminal(pids: Iterable[int]) -> str | None:
    """The terminal that one of their threads is held in a write to."""
    for pid in pids:
        for task in list_names(f"/proc/{pid}/task")[:THREADS_LIMIT]:
            number = _held_write(pid, task)
            found = None if number is None else terminal_of(pid, number)
            if found is not None:
                return found
    return None


def terminal_holders(terminal: str) -> Iterator[int]:
    """Who shows the terminal: the processes that have the other side of a /dev/pts/N open.

    One of a container is not found: its numbers are its own.
    """
    name = re.fullmatch(r"/dev/pts/(\d+)", terminal)
    if name is None:
        return
    for pid in list_names("/proc"):
        if pid.isdigit() and any(_shows(pid, each, name[1]) for each in _masters(pid)):
            yield int(pid)


def _held_write(pid: int, task: str) -> str | None:
    """The descriptor of the write that a thread waits in, where it may be a terminal's."""
    folder = f"/proc/{pid}/task/{task}"
    try:
        waits = read_proc(f"{folder}/wchan", 128).decode("ascii", "replace").strip()
        if waits not in _WAITS:
            return None
        call = read_proc(f"{folder}/syscall", 256).split()
    except OSError:
        return None
    if len(call) < 2 or call[0] not in _WRITES.get(os.uname().machine, ()):
        return None
    try:
        return str(int(call[1], 16))
    except ValueError:
        return None


def _masters(pid: str) -> Iterator[str]:
    for number in list_names(f"/proc/{pid}/fd")[:FILES_LIMIT]:
        try:
            link = os.readlink(f"/proc/{pid}/fd/{number}")  # noqa: PTH115 - a name, not followed
        except OSError:
            continue
        if link.endswith("/ptmx"):
            yield number


def _shows(pid: str, number: str, index: str) -> bool:
    try:
        raw = read_proc(f"/proc/{pid}/fdinfo/{number}", 512)
    except OSError:
        return False
    match = re.search(rb"tty-index:\s*(\d+)", raw)
    return match is not None and match[1].decode() == index
