"""What a search for trainers passes around, as frozen values. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

NO_FOLDER = "no checkpoint folder is known yet"
"""Begins the warning; once there is one, it is no longer true."""

_PIPE = re.compile(r"pipe:\[(\d+)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process that runs a program (kernel threads are left out)."""

    pid: int
    parent: int
    argv: tuple[str, ...]
    start_ticks: int = 0
    cpu_s: float = 0.0
    rss_bytes: int = 0
    uid: int = 0
    container: str | None = None
    """Id of the container it lives in; None: on this machine itself, as we do."""

    @property
    def program(self) -> str:
        """The name of its program, without the folder."""
        return self.argv[0].rsplit("/", 1)[-1].lstrip("-")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One open file of a process, as a link of /proc/PID/fd gives it."""

    number: int
    target: str
    """A path as the process sees it, or "pipe:[inode]", "socket:[inode]" ..."""

    @property
    def pipe(self) -> int | None:
        """The inode, where it is a pipe."""
        match = _PIPE.fullmatch(self.target)
        return int(match[1]) if match else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What an engine says of one container."""

    id: str
    name: str
    image: str = ""
    main_pid: int | None = None
    """Its first process, by this machine's pid."""
    working_folder: str = "/"
    mounts: tuple[tuple[str, str], ...] = ()
    """(path inside, path on this machine) of each bind and volume."""
    layer: str | None = None
    """The folder on this machine that holds what it wrote outside of all mounts."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file or folder of this machine, and why it is taken to be the one."""

    path: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One process that could be watched, with everything that was found out about it."""

    pid: int
    start_ticks: int
    command: str
    started_wall: float | None = None
    container: Container | None = None
    container_id: str | None = None
    gpu: bool = False
    lane: str | None = None
    checkpoints: Found | None = None
    log: Found | None = None
    total: int | None = None
    total_why: str | None = None
    save_interval: int | None = None
    warnings: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    """What this user may not read of it, and what to do."""
    run: str | None = None
    """The run that watches it already."""

    def to_json(self) -> dict[str, Any]:
        """As `lanewatch attach --json` lists it."""
        container = self.container
        return {
            "pid": self.pid,
            "container": container.name if container else self.container_id,
            "image": container.image if container else None,
            "started_wall": self.started_wall,
            "command": self.command,
            "gpu": self.gpu,
            "lane": self.lane,
            "checkpoints": self.checkpoints.path if self.checkpoints else None,
            "checkpoints_from": self.checkpoints.why if self.checkpoints else None,
            "log": self.log.path if self.log else None,
            "log_from": self.log.why if self.log else None,
            "total": self.total,
            "total_from": self.total_why,
            "save_interval": self.save_interval,
            "warnings": list(self.warnings),
            "hidden": list(self.hidden),
            "run": self.run,
        }


def without_folder_warning(warnings: Iterable[str]) -> tuple[str, ...]:
    """The warnings that remain once the folder is known."""
    return tuple(each for each in warnings if not each.startswith(NO_FOLDER))
