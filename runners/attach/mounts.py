"""Where a path of another mount namespace (a container's) lies on this machine. Pure.

The kernel's own table of the process decides: for every file system it names the device and which
part of it is mounted where. A part that is mounted here too has a path here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One line of /proc/PID/mountinfo."""

    device: str
    root: str
    """The part of the file system that is mounted."""
    point: str
    """Where, as the process sees it."""
    upper: str | None = None
    """Of an overlay: the folder, on the machine that made it, that takes what is written."""


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """Parse a /proc/PID/mountinfo; lines of another shape are left out."""
    mounts = []
    for line in text.splitlines():
        fields, dash, rest = line.partition(" - ")
        words, options = fields.split(" "), rest.split(" ")
        if not dash or len(words) < 5:
            continue
        uppers = re.findall(r"(?:^|,)upperdir=([^,]+)", options[-1])
        mounts.append(
            Mount(
                device=words[2],
                root=_unescaped(words[3]),
                point=_unescaped(words[4]),
                upper=_unescaped(uppers[0]) if uppers else None,
            )
        )
    return tuple(mounts)


def to_host(path: str, theirs: Sequence[Mount], ours: Sequence[Mount]) -> str | None:
    """Return where *path* of the namespace *theirs* lies in *ours*; None where it has no path here.

    What a container writes outside of its mounts lies in its layer, as long as it exists.
    """
    mount = _mount_of(path, theirs)
    if mount is None:
        return None
    inside = _below(path, mount.point)
    if inside is None:
        return None
    if mount.upper is not None:
        return _join(mount.upper, inside)
    part = _join(mount.root, inside)
    # The deepest of our mounts of that device: a shorter one may be covered by another mount.
    for ours_too in sorted(ours, key=lambda each: len(each.root), reverse=True):
        rest = _below(part, ours_too.root)
        if ours_too.device == mount.device and rest is not None:
            return _join(ours_too.point, rest)
    return None


def by_pairs(path: str, pairs: Iterable[tuple[str, str]]) -> str | None:
    """Translate *path* by an engine's own list of (inside, here); None where no pair holds it."""
    for inside, here in sorted(pairs, key=lambda each: len(each[0]), reverse=True):
        rest = _below(path, inside)
        if rest is not None and here:
            return _join(here, rest)
    return None


def _mount_of(path: str, mounts: Sequence[Mount]) -> Mount | None:
    """The mount that holds *path*; of two on one point the later one covers the earlier."""
    holding = [each for each in mounts if _below(path, each.point) is not None]
    # Of equals max() gives the first, so the later ones come first.
    return max(reversed(holding), key=lambda each: len(each.point), default=None)


def _below(path: str, folder: str) -> str | None:
    """What of *path* lies below *folder*; None where it lies elsewhere."""
    try:
        rest = PurePosixPath(path).relative_to(folder)
    except ValueError:
        return None
    return "" if str(rest) == "." else str(rest)


def _join(folder: str, rest: str) -> str:
    return str(PurePosixPath(folder) / rest) if rest else folder


def _unescaped(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
