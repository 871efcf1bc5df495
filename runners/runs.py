"""Find runs on disk and make new ones. A run is its folder: nothing else remembers it."""

from __future__ import annotations

import datetime
import fcntl
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from monitor.files import read_json, write_json
from monitor.model import Stage, Status
from monitor.rundir import RunDir
from runners.errors import RunnerError, RunNotFoundError

RUN_ID = re.compile(r"[a-z][a-z0-9]*-\d{8}-\d{6}-[0-9a-f]{4}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LISTED_AT_MOST = 5


def new_run_id(lane: str, now: datetime.datetime | None = None) -> str:
    """`<lane>-<YYYYMMDD-HHMMSS>-<4 hex>`, in local time."""
    moment = now or datetime.datetime.now().astimezone()
    return f"{lane}-{moment:%Y%m%d-%H%M%S}-{os.urandom(2).hex()}"


def iter_runs(root: Path) -> Iterator[RunDir]:
    """Every run folder below *root*, oldest id first; a missing root holds none."""
    try:
        names = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunnerError(f"cannot list runs in {root}: {error.strerror or error}") from error
    for name in names:
        if RUN_ID.fullmatch(name):
            yield RunDir(root / name)


def find_run(root: Path, part: str) -> RunDir:
    """Return the one run whose id or name *part* names: whole, or any unique part.

    Raises RunNotFoundError that says how many fit and which.
    """
    if RUN_ID.fullmatch(part) and (root / part).is_dir():
        return RunDir(root / part)
    named = {run.root.name: (run, _name(run)) for run in iter_runs(root)}
    whole = [run for run, name in named.values() if name == part]
    found = whole or [run for run_id, (run, name) in named.items() if _fits(part, run_id, name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise RunNotFoundError(f"no run matches {part!r} in {root}; `lanewatch runs` lists them")
    listed = ", ".join(run.root.name for run in found[-LISTED_AT_MOST:])
    more = "" if len(found) <= LISTED_AT_MOST else f" and {len(found) - LISTED_AT_MOST} more"
    raise RunNotFoundError(f"{len(found)} runs match {part!r}: {listed}{more}; name one of them")


def _fits(part: str, run_id: str, name: str | None) -> bool:
    return bool(part) and (part in run_id or (name is not None and part in name))


def _name(run: RunDir) -> str | None:
    name = (read_json(run.run_json).value or {}).get("name")
    return name if isinstance(name, str) else None


FOLDERS = ("logs", "data", "work", "checkpoints")


def create_run(
    root: Path,
    lane: str,
    fill: dict[str, Any],
    name: str | None,
    folders: Sequence[str] = FOLDERS,
) -> RunDir:
    """Make a new run folder (0700) with its run.json. Raises RunnerError."""
    check_name(root, name)
    try:
        run = _new_folder(root, lane)
        for folder in folders:
            (run.root / folder).mkdir(mode=0o700)
        write_json(run.run_json, {"run": run.root.name, "name": name, **fill}, durable=True)
    except OSError as error:
        where = error.filename or root
        raise RunnerError(f"cannot make a run in {where}: {error.strerror or error}") from error
    return run


def check_name(root: Path, name: str | None) -> None:
    """Raise RunnerError unless *name* can be given to a new run."""
    if name is not None and not NAME.fullmatch(name):
        raise RunnerError(
            f"the name {name!r} is not usable: letters, digits, '.', '_' and '-', at most 64"
        )
    if name is not None and any(_name(run) == name for run in iter_runs(root)):
        raise RunnerError(f"a run is already called {name!r} in {root}; choose another --name")


def check_root(root: Path) -> None:
    """Raise RunnerError for a folder that no trainer's Python could be told of."""
    if ":" in str(root):
        raise RunnerError(
            f"the runs folder {root} has a ':' in it, which parts the places of PYTHONPATH: set "
            "LANEWATCH_RUNS to another"
        )


def _new_folder(root: Path, lane: str) -> RunDir:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        folder = root / new_run_id(lane)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return RunDir(folder)


def read_run(run: RunDir) -> dict[str, Any]:
    """Return run.json. Raises RunnerError that says what is wrong with it."""
    read = read_json(run.run_json)
    if read.value is None:
        why = read.problem or "run.json is missing"
        raise RunnerError(f"run {run.root.name}: {why} in {run.root}; the run cannot be continued")
    missing = [key for key in ("recipe", "lane", "engine", "recipe_hash") if key not in read.value]
    if missing:
        raise RunnerError(
            f"run {run.root.name}: run.json in {run.root} lacks {', '.join(missing)}; "
            "the run cannot be continued"
        )
    return read.value


def note_outcome(
    run: RunDir, info: dict[str, Any], stage: Stage, result: dict[str, Any] | None
) -> dict[str, Any]:
    """Put into run.json what only a stage could tell: the token ids, the number of iterations.

    Returns the new content. Raises OSError.
    """
    new = dict(info)
    if stage is Stage.PREPARE:
        manifest = read_json(run.data / "manifest.json").value or {}
        new["data"] = {key: manifest.get(key) for key in ("ids_sha256", "rows", "tokens")}
    elif stage is Stage.FETCH and isinstance((result or {}).get("fetch"), dict):
        new["fetch"] = (result or {})["fetch"]
    elif stage is Stage.PULL:
        new["image"] = (result or {}).get("image") or new.get("image")
    elif stage is Stage.TRAIN and new.get("iterations") is None:
        new["iterations"] = (result or {}).get("iteration")
    if new != info:
        write_json(run.run_json, new, durable=True)
    return new


def read_status_word(run: RunDir) -> Status | None:
    """What state.json says, or None while it says nothing readable."""
    try:
        return Status(str((read_json(run.state).value or {}).get("status")))
    except ValueError:
        return None


def lock_is_free(path: Path) -> bool:
    """True when no process holds *path* (a missing file is free)."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def has_left(run: RunDir, patience_s: float = 10.0) -> bool:
    """Wait until keeper, guard and watcher of a run that has ended are gone; False if they stay."""
    deadline = time.monotonic() + patience_s
    locks = (run.keeper_lock, run.guard_lock, run.watcher_lock)
    while not all(map(lock_is_free, locks)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def someone_lives(run: RunDir) -> bool:
    """True while a keeper or a trainer of this run exists."""
    return not (lock_is_free(run.keeper_lock) and lock_is_free(run.run_lock))
