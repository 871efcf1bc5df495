"""The host memory of a process's own control group, version 1 or 2.

The rule: it is shown, it decides nothing. On a machine with unified memory it does not count what
CUDA takes, so neither it nor `docker --memory` guards that memory; and it counts page cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from monitor.probes.raw import ReadFile, read_proc
from monitor.readings import CgroupReading

V1_UNLIMITED = 1 << 60
"""Version 1 says "no limit" as the largest multiple of a page, near 2^63."""

_V2_FILES = ("memory.current", "memory.max", "memory.peak")
_V1_FILES = ("memory.usage_in_bytes", "memory.limit_in_bytes", "memory.max_usage_in_bytes")


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a cgroup file system that may account memory is mounted."""

    version: int
    root: str
    """The group that the mount shows as its top: a container sees its own one there."""
    point: str


class CgroupProbe:
    """Reads the group of one process after another; finds the mounts once."""

    def __init__(self, proc: Path = Path("/proc"), prefix: Path = Path("/")) -> None:
        self._proc = proc
        self._prefix = prefix
        self._mounts: tuple[Mount, ...] | None = None
        self._raw = b""
        self._folders: tuple[tuple[int, str], ...] = ()
        """Where the groups that `_raw` names are mounted, with the version of each mount."""

    def read(self, pid: int, read: ReadFile = read_proc) -> CgroupReading | None:
        """The memory of *pid*'s group; None where none accounts it or it cannot be read."""
        try:
            raw = read(f"{self._proc}/{pid}/cgroup")
            if self._mounts is None:
                mounts = read_proc(str(self._proc / "self" / "mountinfo"), 1 << 20)
                self._mounts = tuple(parse_mounts(mounts))
        except OSError:
            return None
        if raw != self._raw:
            self._raw, self._folders = raw, tuple(self._found(parse_groups(raw), self._mounts))
        for version, folder in self._folders:
            if (found := self._read_group(version, folder, read)) is not None:
                return found
        return None

    def _found(
        self, groups: dict[int, str], mounts: tuple[Mount, ...]
    ) -> Iterator[tuple[int, str]]:
        for mount in mounts:
            group = groups.get(mount.version)
            if group is not None:
                below = mount.point.lstrip("/"), _below(group, mount.root)
                yield mount.version, str(self._prefix.joinpath(*below))

    def _read_group(self, version: int, folder: str, read: ReadFile) -> CgroupReading | None:
        files = _V2_FILES if version == 2 else _V1_FILES
        used, limit, peak = (_number(f"{folder}/{name}", read) for name in files)
        if used is None:
            return None  # no memory controller here, or the root group of version 2
        if limit is not None and limit >= V1_UNLIMITED:
            limit = None
        return CgroupReading(
            version=version,
            used_bytes=used,
            limit_bytes=limit,
            peak_bytes=peak,
            oom_kills=_oom_kills(folder, version, read),
        )


def parse_groups(raw: bytes) -> dict[int, str]:
    """/proc/PID/cgroup: the process's memory group by cgroup version."""
    groups: dict[int, str] = {}
    for line in raw.decode("utf-8", "surrogateescape").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "memory" in controllers.split(","):
            groups[1] = path
        elif number == "0" and not controllers:
            groups[2] = path
    return groups


def parse_mounts(raw: bytes) -> Iterator[Mount]:
    """/proc/self/mountinfo: version 1's memory hierarchy first, where there is one it accounts."""
    mounts = []
    for line in raw.decode("utf-8", "surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2":
            mounts.append(Mount(2, fields[3], fields[4]))
        elif kind[0] == "cgroup" and "memory" in kind[2].split(","):
            mounts.append(Mount(1, fields[3], fields[4]))
    yield from sorted(mounts, key=lambda each: each.version)


def _below(group: str, root: str) -> str:
    """The group's folder below a mount that shows *root* as its top."""
    if root != "/" and (group == root or group.startswith(root + "/")):
        group = group[len(root) :]
    elif root != "/" and root != group:
        group = "/"  # a group outside of what this namespace can see: its top is all there is
    # "/../x" is how a process outside of the namespace is named: never leave the mount.
    return "/".join(part for part in group.split("/") if part not in ("", ".."))


def _number(path: str, read: ReadFile) -> int | None:
    """A file that holds one number; "max" and anything else are none."""
    try:
        raw = read(path, 64).strip()
    except OSError:
        return None
    return int(raw) if raw.isdigit() else None


def _oom_kills(folder: str, version: int, read: ReadFile) -> int | None:
    name = "memory.events" if version == 2 else "memory.oom_control"
    try:
        raw = read(f"{folder}/{name}", 4096)
    except OSError:
        return None
    for line in raw.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == b"oom_kill" and words[1].isdigit():
            return int(words[1])
    return None
