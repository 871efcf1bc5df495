"""A path that a process names, as a path of this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from runners.attach.mounts import Mount, by_pairs, parse_mountinfo, to_host
from runners.attach.process_table import read_cwd, read_file
from runners.attach.values import Container, Process

MOUNTS_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """One process's view of the file system."""

    process: Process
    container: Container | None = None
    cwd: str | None = None
    """As the process sees it; None where this user may not know."""

    def on_host(self, path: str) -> str | None:
        """Where *path*, as the process names it, lies here; None where that cannot be told."""
        whole = self._whole(path)
        if whole is None:
            return None
        if self.process.container is None:
            return whole
        theirs, ours = mounts_of(self.process.pid), mounts_of(0)
        found = to_host(whole, theirs, ours) if theirs else None
        if found is None and self.container is not None:
            found = by_pairs(whole, self.container.mounts)
            if found is None and self.container.layer:
                found = by_pairs(whole, [("/", self.container.layer)])
        through_root = f"/proc/{self.process.pid}/root{whole}"
        if (found is None or not os.path.exists(found)) and os.path.exists(through_root):  # noqa: PTH110 - never raises
            return through_root
        return found

    def host_mounts(self) -> list[str]:
        """Folders of this machine that its container can write into."""
        pairs = self.container.mounts if self.container else ()
        return [here for _, here in pairs]

    def _whole(self, path: str) -> str | None:
        if path.startswith("~"):
            return None
        if path.startswith("/"):
            return os.path.normpath(path)
        return os.path.normpath(f"{self.cwd}/{path}") if self.cwd else None


def place_of(
    process: Process, container: Container | None, folder_hints: Sequence[str] = ()
) -> Place:
    """The view of *process*; where its folder is hidden, the last one it was told to change to."""
    cwd = read_cwd(process.pid)
    if cwd is None or not cwd.startswith("/"):
        told = [each for each in folder_hints if each.startswith("/")]
        cwd = told[-1] if told else (container.working_folder if container else None)
    return Place(process, container, cwd)


def mounts_of(pid: int) -> tuple[Mount, ...]:
    """The mounts of *pid*, or of ourselves for 0; empty where they cannot be read."""
    return parse_mountinfo(read_file(f"/proc/{pid or 'self'}/mountinfo", MOUNTS_BYTES))
