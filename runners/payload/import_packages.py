"""The `import` stage of a lane that brings packages along: its environment, made once.

The rule: an environment under its final name is whole and every module of it that matters was
imported; whoever comes while another run makes it waits and uses the same one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import trackers
from .alone import alone, wait_aloud
from .contract import Contract, StageError, end_process, run_stage, say
from .files import remove_tree, sync, sync_file_system
from .folders import begin_folder
from .job import Job, read_job
from .lane_packages import (
    SITE,
    Wanted,
    environment_folder,
    environment_key,
    installed,
    is_whole,
    mark_whole,
    name_environment,
    normal,
    read_pins,
    use,
    wanted_packages,
)
from .watched_command import WatchedCommand

FOREIGN = ("PIP_CONSTRAINT", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE_VIRTUALENV")
"""pip's variables that would bend an installation into a folder of our own. NVIDIA's images set
PIP_CONSTRAINT to their own versions: meant for installing into the image, which this never does."""


def main(contract: Contract) -> Mapping[str, Any]:
    """Name the run's environment; make it, unless it is there."""
    contract.heartbeat(unit="packages", done=0)
    contract.raise_on_stop = True
    job = read_job(contract)
    wanted = wanted_packages(job.packages)
    brought = () if wanted.own else read_pins(wanted.locks)
    trackers.require(job.recipe, wanted.lane, sys.executable, brought)
    if wanted.own:
        return _own(contract, job, wanted)
    key = environment_key(wanted)
    if key["torch"] is None:
        raise StageError(f"{sys.executable} has no torch: the {wanted.lane} lane brings none")
    folder = environment_folder(job.cache, key)
    waiting = f"environment: another run makes the same one; waiting for {folder}"
    with alone(folder, lambda: wait_aloud(contract, waiting)):
        made = not is_whole(folder, key)
        if made:
            _make(contract, wanted, folder, key)
    name_environment(job.work, folder / SITE, wanted.hidden)
    count = len(key["lock"])
    contract.heartbeat(done=count, total=count)
    say(f"environment: {count} packages {'made' if made else 'made before'} in {folder}")
    return {"made": made, "folder": str(folder), "packages": count}


def _own(contract: Contract, job: Job, wanted: Wanted) -> Mapping[str, Any]:
    """Take the interpreter's own packages; say where they are not those of the lock."""
    use(None, wanted.hidden)
    locked = read_pins(wanted.locks)
    missing = [name for name in wanted.imports if installed(name) is None]
    if missing:
        raise StageError(
            f"{sys.executable} lacks {', '.join(missing)}: `pip install '.[{wanted.lane}]'` there, "
            f'in a checkout of lanewatch, or set lanes.{wanted.lane}.packages = "lane"'
        )
    differs = {
        name: version
        for name in wanted.imports
        if (version := installed(name)) != locked.get(normal(name))
    }
    for name, version in differs.items():
        wanted_version = locked.get(normal(name), "none")
        say(f"environment: {name} is {version}; the lane was tested with {wanted_version}")
    name_environment(job.work, None, wanted.hidden)
    contract.heartbeat(done=len(wanted.imports), total=len(wanted.imports))
    return {"made": False, "folder": None, "differs": differs}


def _make(contract: Contract, wanted: Wanted, folder: Path, key: Mapping[str, Any]) -> None:
    say(f"environment: installing {len(key['lock'])} packages, once, into {folder}")
    temporary = begin_folder(folder)
    scratch = temporary / "tmp"
    scratch.mkdir(mode=0o700)
    try:
        _install(contract, wanted, temporary / SITE, scratch)
        _prove(contract, wanted, temporary / SITE, scratch)
        remove_tree(scratch)
        mark_whole(temporary, key)
        contract.raise_on_stop = False
        contract.raise_if_stopped()
        sync_file_system(temporary)
        remove_tree(folder)  # whatever lies there is not whole
        temporary.rename(folder)
        sync(folder.parent)
    finally:
        remove_tree(temporary)


def _install(contract: Contract, wanted: Wanted, site: Path, scratch: Path) -> None:
    count = len(read_pins(wanted.locks))
    contract.heartbeat(done=0, total=2 * count)
    command = WatchedCommand(pip_argv(wanted, site), _environment(scratch), scratch)

    def look() -> None:
        fetched = sum(line.startswith(("Collecting", "Processing")) for line in command.lines)
        unpacked = len([*scratch.glob("pip-target-*/lib*/python*/*.dist-info")])
        contract.progress(min(fetched, count) + min(unpacked, count))

    code = command.run(look)
    if code != 0:
        raise StageError(f"the lane's packages could not be installed: {_pip_error(command)}")
    missing = read_pins(wanted.locks).keys() - _there(site)
    if missing:
        raise StageError(f"pip left out {', '.join(sorted(missing))}; see the log")


def pip_argv(wanted: Wanted, site: Path) -> list[str]:
    """The pip command that fills *site* with the lock. Raises StageError."""
    argv = [sys.executable, "-m", "pip", "install", f"--target={site}", "--no-deps"]
    argv += ["--only-binary=:all:", "--no-compile", "--no-cache-dir", "--no-input"]
    argv += ["--progress-bar=off", "--disable-pip-version-check"]
    argv += [f"--requirement={lock}" for lock in wanted.locks]
    if wanted.wheelhouse is not None:
        if not wanted.wheelhouse.is_dir():
            raise StageError(f"the wheelhouse {wanted.wheelhouse} is no folder here")
        argv += ["--no-index", f"--find-links={wanted.wheelhouse}"]
    return argv


def _environment(scratch: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    # Else compiled files would go to the engine's folder of this run, and be made by every run.
    kept.pop("PYTHONPYCACHEPREFIX", None)
    return kept | {"TMPDIR": str(scratch), "PYTHONSAFEPATH": "1"}


def _pip_error(command: WatchedCommand) -> str:
    errors = [line for line in command.lines if line.startswith("ERROR: ")]
    told = errors[-1].removeprefix("ERROR: ") if errors else command.last_line
    if "No module named pip" in command.last_line:
        return f"{sys.executable} has no pip"
    if command.says("Connection", "Temporary failure in name resolution", "Network is unreach"):
        return f"{told}; without network set launch.wheelhouse to a folder of wheels"
    return told


def _there(site: Path) -> set[str]:
    return {normal(path.name.split("-")[0]) for path in site.glob("*.dist-info")}


def _prove(contract: Contract, wanted: Wanted, site: Path, scratch: Path) -> None:
    """Import what matters, in a process of its own, with the stage's own settings."""
    say(f"environment: importing {', '.join(wanted.imports)}")
    package = __package__ or ""
    code = f"from {package}.lane_packages import use; from pathlib import Path; "
    code += f"use(Path({str(site)!r}), {wanted.hidden!r}); import {', '.join(wanted.imports)}"
    command = WatchedCommand([sys.executable, "-c", code], _environment(scratch), scratch)
    if command.run(contract.raise_if_stopped) != 0:
        raise StageError(
            f"the lane's packages were installed but do not import here: {command.last_line}"
        )


if __name__ == "__main__":
    end_process(run_stage(main))
