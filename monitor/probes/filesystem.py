"""Which kind of file system a path lies on: SQLite's WAL is only safe on a local one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from monitor.probes.raw import read_proc

NETWORK_TYPES = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "gpfs", "lustre",
        "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb3", "smbfs",
    }
)  # fmt: skip
_OCTAL = {b"\\040": b" ", b"\\011": b"\t", b"\\012": b"\n", b"\\134": b"\\"}
_MOUNTINFO_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo, as far as it is used."""

    kind: str
    device: tuple[int, int] | None
    """(major, minor)"""


def is_local_filesystem(path: Path) -> bool:
    """False for network file systems and FUSE; True when it cannot be told."""
    return is_local_kind(filesystem_type(path))


def is_local_kind(kind: str | None) -> bool:
    """The same of a type's name."""
    return kind not in NETWORK_TYPES and not (kind or "").startswith("fuse.") and kind != "fuse"


def filesystem_type(path: Path) -> str | None:
    """The type of the mount that holds *path*, for example ext4; None when it cannot be told."""
    mount = _mount(path)
    return mount.kind if mount else None


def mounted_device(path: Path) -> tuple[int, int] | None:
    """(major, minor) that the kernel gives the file system of *path*; None when it cannot be told.

    On btrfs and overlays `stat` names another one, of its own making.
    """
    mount = _mount(path)
    return mount.device if mount else None


def _mount(path: Path) -> Mount | None:
    try:
        raw = read_proc("/proc/self/mountinfo", _MOUNTINFO_LIMIT)
        return mount_of(os.fsencode(path.resolve()), raw)
    except (OSError, RuntimeError):
        return None


def mount_of(path: bytes, mountinfo: bytes) -> Mount | None:
    """Find the mount point nearest above the absolute *path*; the last mount wins."""
    best, found = -1, None
    for line in mountinfo.splitlines():
        left, separator, right = line.partition(b" - ")
        fields, kinds = left.split(), right.split()
        if not separator or len(fields) < 5 or not kinds:
            continue
        point = _unescape(fields[4]).rstrip(b"/")
        if len(point) >= best and (path == point or path.startswith(point + b"/")):
            best = len(point)
            found = Mount(kinds[0].decode("ascii", "replace"), _device(fields[2]))
    return found


def _device(field: bytes) -> tuple[int, int] | None:
    """Parse "major:minor"."""
    major, _, minor = field.partition(b":")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None


def _unescape(point: bytes) -> bytes:
    for escape, character in _OCTAL.items():
        point = point.replace(escape, character)
    return point
