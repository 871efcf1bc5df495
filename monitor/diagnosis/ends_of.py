"""Who holds the other end of pipes and of connections on this machine. One walk for all of them."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Collection, Mapping

from monitor.diagnosis.bounds import WAITS_END_S, Bounds
from monitor.diagnosis.places import End
from monitor.probes.process import name_and_state
from monitor.probes.raw import list_names, read_proc

FILES_LIMIT = 4096
_FLAGS = re.compile(rb"flags:\s*([0-7]+)")
_STATES = {
    b"01": "established",
    b"02": "connecting",
    b"08": "the peer has closed it",
    b"0A": "listening",
}
Holder = tuple[int, int]
"""A pid, and how it has the thing open: O_RDONLY, O_WRONLY or O_RDWR."""


def link_of(pid: int, descriptor: int) -> str | None:
    """What a descriptor is: a path, "pipe:[123]", "socket:[123]"; None where it is hidden."""
    try:
        return os.readlink(f"/proc/{pid}/fd/{descriptor}")  # noqa: PTH115 - a name, no path
    except OSError:
        return None


def working_folder(pid: int) -> str | None:
    """Where the process is."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115 - a name, as it sees it
    except OSError:
        return None


def holders_of(
    links: Collection[str], bounds: Bounds | None = None
) -> tuple[dict[str, list[Holder]], bool]:
    """Every process that has one of *links* open; those of others' need root.

    The second value is False where there was not the time to look at all of them.
    """
    found: dict[str, list[Holder]] = {each: [] for each in links}
    if not found:
        return found, True
    for name in list_names("/proc"):
        if not name.isdigit():
            continue
        if bounds is not None and bounds.over(WAITS_END_S):
            return found, False
        for number in list_names(f"/proc/{name}/fd")[:FILES_LIMIT]:
            link = link_of(int(name), int(number))
            if link in found:
                found[link].append((int(name), _mode(name, number)))
    return found, True


def _mode(pid: str, number: str) -> int:
    try:
        match = _FLAGS.search(read_proc(f"/proc/{pid}/fdinfo/{number}", 512))
    except OSError:
        match = None
    return int(match[1], 8) & 3 if match else os.O_RDWR


def other_ends(holders: Collection[Holder], mine: int, *, writes: bool) -> tuple[End, ...]:
    """Who could take what is written, or write what is waited for, beside the process *mine*."""
    wanted = os.O_RDONLY if writes else os.O_WRONLY
    pids = dict.fromkeys(
        pid for pid, mode in holders if pid != mine and mode in (wanted, os.O_RDWR)
    )
    return tuple(each for pid in pids if (each := end(pid)) is not None)


def end(pid: int) -> End | None:
    """Name a process."""
    found = name_and_state(pid)
    return End(pid=pid, name=found[0], state=found[1]) if found else None


def connection_of(pid: int, socket: str) -> tuple[str, str | None]:
    """(words for "socket:[123]", the same link of its peer on this machine, if it has one)."""
    inode = socket.partition("[")[2].rstrip("]").encode()
    for table in ("tcp", "tcp6"):
        try:
            lines = read_proc(f"/proc/{pid}/net/{table}", 4 << 20).splitlines()[1:]
        except OSError:
            continue
        rows = [words for line in lines if len(words := line.split()) > 9]
        for words in rows:
            if words[9] == inode:
                return _tcp_words(words, table), _peer(words, rows)
    return _unix_words(pid, inode), None


def _tcp_words(words: list[bytes], table: str) -> str:
    state = _STATES.get(words[3], "closing")
    return f"{table} {_address(words[1])} to {_address(words[2])}, {state}"


def _peer(words: list[bytes], rows: list[list[bytes]]) -> str | None:
    for other in rows:
        if (other[1], other[2]) == (words[2], words[1]) and other[9] != b"0":
            return f"socket:[{other[9].decode()}]"
    return None


def _unix_words(pid: int, inode: bytes) -> str:
    try:
        lines = read_proc(f"/proc/{pid}/net/unix", 4 << 20).splitlines()[1:]
    except OSError:
        lines = []
    for line in lines:
        words = line.split()
        if len(words) > 6 and words[6] == inode:
            path = words[7].decode("utf-8", "replace") if len(words) > 7 else "without a name"
            return f"unix socket {path}"
    return f"socket {inode.decode()}"


def _address(raw: bytes) -> str:
    """An address of /proc/net/tcp: each word of it in the machine's own order of bytes."""
    text, _, port = raw.decode("ascii", "replace").partition(":")
    whole = bytes.fromhex(text)
    parts = [whole[at : at + 4][::-1] for at in range(0, len(whole), 4)]
    address = ipaddress.ip_address(b"".join(parts))
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if isinstance(address, ipaddress.IPv4Address):
        return f"{address}:{int(port, 16)}"
    return f"[{address}]:{int(port, 16)}"


def by_pid(holders: Mapping[str, list[Holder]], link: str | None) -> tuple[End, ...]:
    """Who has *link* open."""
    pids = dict.fromkeys(pid for pid, _ in holders.get(link or "", ()))
    return tuple(each for pid in pids if (each := end(pid)) is not None)
