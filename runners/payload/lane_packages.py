"""The Python packages that a lane brings along: installed once in the cache, entered by a stage.

The rule: torch and what it is built with stay those of the image or interpreter; the lane's folder
lies before them on the path, and never before the standard library.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import re
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .alone import shared_folder
from .causes import StageError
from .files import encode, read_object, replace

ENVIRONMENTS = "environments"
"""In the cache: one folder an environment, `<lane>-<hash>`."""
MARKER = "environment.json"
"""In an environment: what it was made from. In a run's work folder: which one is the run's."""
SITE = "site"
LANE, INTERPRETER = "lane", "interpreter"
FORMAT = 1
"""Raise it when the same lock is to give another environment."""

_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;#]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a lane's plan asks for, as work/job.json says it."""

    lane: str
    locks: tuple[Path, ...]
    """The lane's own first."""
    imports: tuple[str, ...]
    """Modules whose import proves the environment."""
    hidden: tuple[str, ...]
    """Modules of the interpreter that must not be seen, unless the lock brings them."""
    own: bool
    """Use the interpreter's own packages and install none."""
    wheelhouse: Path | None
    """A folder of wheels to install from, without network."""
    image: str | None
    """Id of the container image that this runs in, where it is known."""


def wanted_packages(value: Mapping[str, Any] | None) -> Wanted:
    """Read the job's table "packages". Raises StageError."""
    try:
        given = dict(value or {})
        return Wanted(
            lane=str(given["lane"]),
            locks=tuple(
                Path(__file__).with_name(str(name))
                for name in (given["lock"], *(given.get("more") or ()))
            ),
            imports=tuple(map(str, given["imports"])),
            hidden=tuple(map(str, given.get("hidden") or ())),
            own=given.get("source") == INTERPRETER,
            wheelhouse=Path(given["wheelhouse"]) if given.get("wheelhouse") else None,
            image=given.get("image"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StageError(f"work/job.json: packages is not usable: {error!r}") from error


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """Version by normal name of every line of a lock. Raises StageError on a line that is none."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.partition("#")[0].strip()
        if not bare:
            continue
        pin = _PIN.fullmatch(bare)
        if pin is None:
            raise StageError(f"the lock's line {number} is no exact pin: {bare}")
        found[normal(pin[1])] = pin[2]
    return found


def read_pins(locks: Iterable[Path]) -> dict[str, str]:
    """The pins of all the files *locks*. Raises StageError."""
    found: dict[str, str] = {}
    for lock in locks:
        try:
            found |= pins(lock.read_text(encoding="utf-8"))
        except OSError as error:
            raise StageError(f"the lane's lock cannot be read: {lock}: {error.strerror}") from error
    return found


def environment_key(wanted: Wanted) -> dict[str, Any]:
    """All that an installed environment depends on: lock, image or interpreter, and its torch."""
    return {
        "format": FORMAT,
        "lane": wanted.lane,
        "lock": sorted(f"{name}=={version}" for name, version in read_pins(wanted.locks).items()),
        "image": wanted.image,
        "interpreter": None if wanted.image else os.path.realpath(sys.executable),
        "python": platform.python_version(),
        "abi": sysconfig.get_config_var("SOABI"),
        "torch": installed("torch"),
    }


def environment_folder(cache: Path, key: Mapping[str, Any]) -> Path:
    """Where the environment of *key* lies, there or not."""
    return shared_folder(cache / ENVIRONMENTS, str(key["lane"]), key)


def is_whole(folder: Path, key: Mapping[str, Any]) -> bool:
    """Tell whether *folder* holds the finished environment of *key*."""
    marker = read_object(folder / MARKER) or {}
    metadata = marker.get("metadata")
    if marker.get("key") != key or not isinstance(metadata, list) or not metadata:
        return False
    return all((folder / SITE / str(name)).is_dir() for name in metadata)


def mark_whole(folder: Path, key: Mapping[str, Any]) -> None:
    """Write the marker, the last file of an environment that is about to be put in place."""
    metadata = sorted(path.name for path in (folder / SITE).glob("*.dist-info"))
    content = {"schema": 1, "key": dict(key), "metadata": metadata}
    replace(folder / MARKER, encode(content), durable=True)


def name_environment(work: Path, site: Path | None, hidden: Iterable[str]) -> None:
    """Write work/environment.json: what the later stages of the run enter. Raises OSError."""
    content = {"schema": 1, "site": None if site is None else str(site), "hidden": [*hidden]}
    replace(work / MARKER, encode(content), durable=True)


def enter(work: Path, *, required: bool = False) -> None:
    """Let this process find the packages that the run's `import` stage named.

    Without such a stage (the lane brings none) nothing changes. Raises StageError.
    """
    named = read_object(work / MARKER)
    if named is None:
        if required:
            raise StageError(f"{work / MARKER} is missing: the import stage has to run first")
        return
    site = named.get("site")
    if site is not None and not Path(site).is_dir():
        raise StageError(f"the lane's environment {site} is gone: resume makes it again")
    use(None if site is None else Path(site), named.get("hidden") or ())


def use(site: Path | None, hidden: Iterable[str] = ()) -> None:
    """Put *site* before the interpreter's own packages and hide the modules *hidden*."""
    if site is not None:
        sys.path.insert(_first_packages(), str(site))
        # The compiled files lie beside the packages; an engine may point elsewhere for the rest.
        sys.pycache_prefix = None
    importlib.invalidate_caches()
    for name in hidden:
        if site is None or not (site / name).is_dir():
            # As if it were not installed: for `find_spec`, and for whoever imports it.
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # None hides it


def _first_packages() -> int:
    """The place on the path before the first folder of installed packages."""
    for place, each in enumerate(sys.path):
        if Path(each).name in ("site-packages", "dist-packages"):
            return place
    return len(sys.path)


def installed(name: str) -> str | None:
    """The version of a distribution that this Python finds, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
