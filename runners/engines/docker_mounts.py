"""What a container sees of this host: every path at its own place, so that nothing is translated.

The rule: only what was asked for, and read-only unless it must be written. Links are followed here:
one that leads out of a mounted folder would dangle inside.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from runners.engines.docker_socket import engine_url
from runners.errors import EngineError

SOCKETS = ("/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock")
SNAPSHOTS = "snapshots"
REPOSITORY = "models--"
BLOBS = "blobs"
MOST_LINKS = 4096
"""Entries of a folder that are looked at for links; a base model has some dozens."""


def mounts(writable: Iterable[Path], read_only: Iterable[Path]) -> list[dict[str, Any]]:
    """The bind mounts for these paths, as the engine's API names them; outer ones first.

    Raises EngineError for one that must not be.
    """
    found = dict.fromkeys(writable, False)
    for path in read_only:
        for each in visible(path, tuple(found)):
            found.setdefault(each, True)
    made = [_bind(path, found[path]) for path in sorted(found, key=lambda each: each.parts)]
    _refuse_sockets(made)
    return made


def _refuse_sockets(made: Iterable[dict[str, Any]]) -> None:
    """Raise EngineError for a mount that has an engine's socket in it: who reaches it is root."""
    for each in made:
        for socket in engine_sockets():
            if socket.is_relative_to(each["Source"]):
                raise EngineError(
                    f"{each['Target']} would bring the engine's socket ({socket}) into the "
                    "container, which makes it root of this machine: name what is needed of it"
                )


def engine_sockets() -> list[Path]:
    """Where an engine listens that must be out of a container's reach, there or not."""
    places = [*SOCKETS]
    with contextlib.suppress(EngineError):
        places.append(engine_url().removeprefix("unix://"))
    return [Path(os.path.realpath(each)) for each in places if each.startswith("/")]


def visible(path: Path, known: tuple[Path, ...] = ()) -> Iterator[Path]:
    """The paths to mount so that *path* can be read; *known* ones are mounted anyway."""
    if path.is_symlink() and _within(path, known):
        # The link itself is there; what it leads to is not.
        yield from visible(Path(os.path.realpath(path)), known)
        return
    if (home := repository(path)) is None:
        yield path
        yield from _leading_out(path, path)
        return
    yield home
    # Some keep the files of a cache, or one of its folders, on another disk.
    for folder in (home, home / BLOBS, path):
        yield from _leading_out(folder, home)


def repository(path: Path) -> Path | None:
    """The repository in the Hugging Face cache that *path* is a snapshot of: files are links."""
    for folder in path.parents:
        if folder.name == SNAPSHOTS and folder.parent.name.startswith(REPOSITORY):
            return folder.parent
    return None


def _leading_out(folder: Path, mounted: Path) -> Iterator[Path]:
    """Where the links directly in *folder* lead, as far as that is outside of what is *mounted*."""
    try:
        with os.scandir(folder) as entries:
            first = itertools.islice(entries, MOST_LINKS)
            links = [each.path for each in first if each.is_symlink()]
    except OSError:
        return
    for link in sorted(links):
        # By its text, not resolved: this is the name by which the container will look for it.
        target = Path(os.path.normpath(folder / Path(link).readlink()))
        if not _within(target, (mounted,)) and target.exists():
            yield target


def _within(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _bind(path: Path, read_only: bool) -> dict[str, Any]:
    # The source is resolved: a folder that is itself a link is mounted as what it leads to.
    return {
        "Type": "bind",
        "Source": os.path.realpath(path),
        "Target": str(path),
        "ReadOnly": read_only,
    }
