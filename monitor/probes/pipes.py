"""Who reads the pipe, or shows the terminal, that a trainer writes to; what holds its threads.

The rule: it is looked at rarely, for it means a walk through every process. A run whose log is a
file costs two links every half minute.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from monitor.activity import PIPE_WAITS
from monitor.frozen import replace
from monitor.model import PipeReader, PipeReading, ProcessReading
from monitor.probes.process import name_and_state
from monitor.probes.raw import list_names, read_proc
from monitor.probes.terminals import held_terminal, terminal_holders, terminal_of
from monitor.probes.text import clean_line

EVERY_S = 30.0
HELD_EVERY_S = 5.0
"""While the kernel holds it in a pipe, or it does nothing."""
THREADS_LIMIT = 512
HOPS = 4
"""`python | grep | tee | …`: whoever is stopped further down holds back all of it."""
FILES_LIMIT = 4096

_CONTAINER = re.compile(rb"docker|libpod|containerd|crio|kubepods|lxc")
_CLIENTS = frozenset({"docker", "podman", "nerdctl"})
_STARTS = frozenset({b"exec", b"run", b"start", b"attach"})
_O_ACCMODE = 3


class HoldProbe:
    """Adds to a process reading what may hold the process; remembers it between two walks."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._next_s = 0.0
        self._pipe: PipeReading | None = None
        self._waits: tuple[tuple[str, int], ...] = ()
        self._cpu_s: float | None = None

    def add(self, reading: ProcessReading, now_s: float) -> ProcessReading:
        """Return *reading* with `pipe` and `waits`; *now_s* is CLOCK_MONOTONIC."""
        if not reading.alive or not reading.pids:
            return reading
        pid = reading.pids[0]
        idle, self._cpu_s = reading.cpu_s == self._cpu_s, reading.cpu_s
        held = idle or reading.wchan in PIPE_WAITS or reading.state == "T"
        due = self._next_s - (EVERY_S - HELD_EVERY_S if held else 0.0)
        if pid != self._pid or now_s >= due or now_s < self._next_s - EVERY_S:
            self._pid, self._next_s = pid, now_s + EVERY_S
            self._waits = read_waits(pid)
            self._pipe = read_pipe(reading.pids)
        return replace(reading, pipe=self._pipe, waits=self._waits)


def read_waits(pid: int) -> tuple[tuple[str, int], ...]:
    """(what the kernel holds a thread in, how many threads), most first; without hidden ones."""
    found: Counter[str] = Counter()
    for task in list_names(f"/proc/{pid}/task")[:THREADS_LIMIT]:
        name = _wchan(pid, task)
        if name is not None:
            found[name] += 1
    return tuple(found.most_common())


def read_pipe(pids: tuple[int, ...]) -> PipeReading | None:
    """The pipe or terminal that stdout or stderr of the first of *pids* is; None for neither."""
    pid = pids[0]
    for descriptor in (1, 2):
        inode = _pipe_of(pid, descriptor)
        if inode is None:
            continue
        outside = in_container(pid)
        # A filter may be the trainer's own child: `exec > >(tee log)`, or a launcher's.
        writers = tuple(each for each in pids if inode in (_pipe_of(each, 1), _pipe_of(each, 2)))
        readers = list(_readers(inode, writers))
        if outside:
            readers += [each for each in _clients(pid) if each not in readers]
        return PipeReading(
            descriptor=descriptor,
            writer_blocked=_writer_blocked(pids),
            readers=tuple(readers),
            through_container=outside,
        )
    return _read_terminal(pids)


def _read_terminal(pids: tuple[int, ...]) -> PipeReading | None:
    """The same for one that writes to a terminal; who shows it is looked for once it is held."""
    pid = pids[0]
    for descriptor in (1, 2):
        name = terminal_of(pid, descriptor)
        if name is None:
            continue
        held = held_terminal(pids) is not None
        outside = in_container(pid)
        readers = _shown_by(name) if held and not outside else ()
        return PipeReading(
            descriptor=descriptor,
            terminal=name,
            writer_blocked=held,
            readers=tuple(readers),
            through_container=outside,
        )
    return None


def _shown_by(terminal: str) -> Iterator[PipeReader]:
    for pid in terminal_holders(terminal):
        if (reader := _reader(pid)) is not None:
            yield reader


def in_container(pid: int) -> bool:
    """Its control group is a container's."""
    try:
        return _CONTAINER.search(read_proc(f"/proc/{pid}/cgroup", 4096)) is not None
    except OSError:
        return False


def _writer_blocked(pids: Iterable[int]) -> bool:
    """One of the threads waits in a write to a full pipe."""
    return any(
        _wchan(pid, task) in PIPE_WAITS
        for pid in pids
        for task in list_names(f"/proc/{pid}/task")[:THREADS_LIMIT]
    )


def _wchan(pid: int, task: str) -> str | None:
    try:
        name = read_proc(f"/proc/{pid}/task/{task}/wchan", 128).decode("ascii", "replace").strip()
    except OSError:
        return None
    return clean_line(name) if name not in ("", "0") else None


def _readers(inode: str, writers: tuple[int, ...]) -> Iterator[PipeReader]:
    """Whoever reads the pipe, and whoever reads what they write into a further pipe."""
    stdins = _stdins()
    seen = set(writers)
    wanted = inode
    for _ in range(HOPS):
        pids = [pid for pid in stdins.get(wanted, ()) if pid not in seen]
        pids = pids or [pid for pid in _holders(wanted) if pid not in seen]
        seen.update(pids)
        for pid in pids:
            if (reader := _reader(pid)) is not None:
                yield reader
                if reader.terminal is not None and not in_container(pid):
                    yield from _shown_by(reader.terminal)
        further = next((each for pid in pids if (each := _pipe_of(pid, 1))), None)
        if further is None or further == wanted:
            return
        wanted = further


def _reader(pid: int) -> PipeReader | None:
    found = name_and_state(pid)
    if found is None:
        return None
    held = held_terminal((pid,))
    return PipeReader(pid=pid, name=found[0], state=found[1], terminal=held)


def _stdins() -> dict[str, list[int]]:
    """Which processes have which pipe as their stdin: nearly every reader has."""
    found: dict[str, list[int]] = {}
    for pid in _all_pids():
        inode = _pipe_of(pid, 0)
        if inode is not None:
            found.setdefault(inode, []).append(pid)
    return found


def _holders(inode: str) -> list[int]:
    """Who else has the pipe open for reading, under any number (a container's runtime)."""
    found = []
    for pid in _all_pids():
        for number in list_names(f"/proc/{pid}/fd")[:FILES_LIMIT]:
            if _pipe_of(pid, int(number)) == inode and _is_read_end(pid, number):
                found.append(pid)
                break
    return found


def _is_read_end(pid: int, number: str) -> bool:
    try:
        raw = read_proc(f"/proc/{pid}/fdinfo/{number}", 512)
    except OSError:
        return False
    match = re.search(rb"flags:\s*([0-7]+)", raw)
    return match is not None and int(match[1], 8) & _O_ACCMODE == os.O_RDONLY


def _clients(pid: int) -> Iterator[PipeReader]:
    """Container clients that may carry the log out: those whose command line ends in the trainer's.

    Where none does, every client that started something; and whoever reads what they write.
    """
    started = {each for each in (_arguments(pid), _arguments(_parent(pid))) if each}
    clients = {}
    for other in _all_pids():
        found = name_and_state(other)
        if found is not None and found[0] in _CLIENTS:
            arguments = _arguments(other)
            if _STARTS & set(arguments[1:3]):
                clients[other] = arguments
    exact = [other for other, has in clients.items() if any(has[-len(x) :] == x for x in started)]
    for other in exact or clients:
        reader = _reader(other)
        if reader is None:
            continue
        yield reader
        further = _pipe_of(other, 1)
        if further is not None:
            yield from _readers(further, (other,))


def _arguments(pid: int | None) -> tuple[bytes, ...]:
    try:
        raw = read_proc(f"/proc/{pid}/cmdline") if pid else b""
    except OSError:
        return ()
    return tuple(raw.rstrip(b"\0").split(b"\0")) if raw else ()


def _parent(pid: int) -> int | None:
    try:
        raw = read_proc(f"/proc/{pid}/stat", 4096)
        return int(raw.rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def _pipe_of(pid: int, number: int) -> str | None:
    """The pipe behind a descriptor, as "pipe:[123]"; None for anything else, or where hidden."""
    try:
        link = os.readlink(f"/proc/{pid}/fd/{number}")  # noqa: PTH115 - no path, a name of a pipe
    except OSError:
        return None
    return link if link.startswith("pipe:") else None


def _all_pids() -> list[int]:
    myself = os.getpid()
    return [int(name) for name in list_names("/proc") if name.isdigit() and int(name) != myself]
