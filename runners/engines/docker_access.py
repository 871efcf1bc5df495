"""What a container's process may read: it has the caller's uid and gid, and no more than that.

The rule: what this process may read is no measure. Root in a container has no capabilities, so the
files of others are closed to it; and of the caller's other groups it is given those alone by which
something that is mounted for it can be read.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from runners.engines.base import Container
from runners.errors import EngineError

MOST_FILES = 4096
"""Entries of a folder that are looked at; a base model has some dozens."""

ACL = "system.posix_acl_access"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a container's process is to the files of this host, without any capability."""

    uid: int = field(default_factory=os.geteuid)
    gid: int = field(default_factory=os.getegid)
    others: frozenset[int] = field(default_factory=lambda: frozenset(os.getgroups()))
    """The caller's other groups, which it has only where they are given."""


def groups_needed(needs: Container, who: Identity | None = None) -> list[str]:
    """The caller's other groups without which something mounted could not be read."""
    who = who or Identity()
    found = set()
    for path in needs.read_only:
        for _, status in _seen(path):
            if _denied(status, _want(status), who, ()) and not _denied(
                status, _want(status), who, who.others
            ):
                found.add(status.st_gid)
    return [str(each) for each in sorted(found)]


def refuse_unreadable(needs: Container, who: Identity | None = None) -> None:
    """Raise EngineError for a file that the stage will read and that is closed to its container."""
    who = who or Identity()
    for folder in needs.read_whole:
        for path, status in _seen(folder):
            # A folder in the base is not read, and may be the file system's own (lost+found).
            read = path == folder or stat.S_ISREG(status.st_mode)
            closed = read and _denied(status, _want(status), who, who.others)
            if closed and not _has_list(path):
                raise EngineError(_words(path, status, who))


def _has_list(path: Path) -> bool:
    """True where an access control list says more than the mode."""
    try:
        return ACL in os.listxattr(path)
    except OSError:
        return False


def _words(path: Path, status: os.stat_result, who: Identity) -> str:
    as_root = "root, whose container has no rights over the files of others" if who.uid == 0 else ""
    return (
        f"{path} belongs to user {status.st_uid} and may not be read in a container by "
        f"{as_root or f'user {who.uid}'}: launch as its owner, or `sudo chmod -R o+rX "
        f"{Path(os.path.realpath(path)).parent}`"
    )


def _seen(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """*path* and, of a folder, what lies directly in it, with what its links lead to."""
    yield from _stats([path])
    try:
        with os.scandir(path) as entries:
            inside = [Path(each.path) for each in itertools.islice(entries, MOST_FILES)]
    except OSError:
        return
    yield from _stats(sorted(inside))


def _stats(paths: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue  # one that dangles is named by whoever looks at the base
        if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
            yield path, status


def _want(status: os.stat_result) -> int:
    return (os.R_OK | os.X_OK) if stat.S_ISDIR(status.st_mode) else os.R_OK


def _denied(status: os.stat_result, want: int, who: Identity, groups: Iterable[int]) -> bool:
    if status.st_uid == who.uid:
        bits = status.st_mode >> 6
    elif status.st_gid == who.gid or status.st_gid in groups:
        bits = status.st_mode >> 3
    else:
        bits = status.st_mode
    return bits & want != want
