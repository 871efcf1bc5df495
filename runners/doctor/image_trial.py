"""The real image once, as this user: does it write each mount, import the trainer, see the GPU.

The rule: it is the engine's own request of the train stage, with another program in it and with the
mounts of every stage; nothing of it is left behind, neither container nor folder.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from monitor.model import Stage
from monitor.rundir import RunDir
from runners.doctor.values import Check, fail, ok, warn
from runners.engines import get_engine
from runners.engines.base import Engine, Exit, StageRequest
from runners.errors import EngineError
from runners.lanes import get_lane
from runners.launch import LaunchOrder, paths, run_info
from runners.log_error import last_error
from runners.runs import FOLDERS
from runners.stages import Plan, copy_payload
from runners.trackers import tracker_modules

MARK = "lanewatch-trial "
TRIAL_S = 180.0
"""A first import out of a cold image of 20 GB takes a minute."""

PROGRAM = """
import importlib, importlib.util, json, os, sys
asked = json.loads(sys.argv[1])
told = {"uid": os.getuid(), "python": sys.version.split()[0], "gpu": None}
told.update(mounts={}, imports={})
for path in asked["writable"]:
    try:
        name = os.path.join(path, ".lanewatch-trial")
        open(name, "w").close()
        os.unlink(name)
        told["mounts"][path] = None
    except OSError as error:
        told["mounts"][path] = str(error)
for path in asked["read_only"]:
    told["mounts"][path] = None if os.access(path, os.R_OK) else "it cannot be read"
for name in asked["modules"]:
    try:
        importlib.import_module(name)
        told["imports"][name] = None
    except BaseException as error:
        told["imports"][name] = "%s: %s" % (type(error).__name__, error)
def there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
told["trackers"] = {name: any(map(there, each)) for name, each in asked["trackers"].items()}
try:
    if not asked["modules"]:
        raise ImportError("not asked")
    import torch
    told["gpu"] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
except Exception as error:
    told["gpu_problem"] = str(error)
print(asked["mark"] + json.dumps(told), flush=True)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What the image said of itself."""

    problem: str | None = None
    """Why it said nothing."""
    uid: int | None = None
    python: str | None = None
    mounts: Mapping[str, str | None] = field(default_factory=dict)
    """By path: None where it is as it must be, else why not."""
    imports: Mapping[str, str | None] = field(default_factory=dict)
    trackers: Mapping[str, bool] = field(default_factory=dict)
    """By what train.report_to names beyond what the lane installs: whether its package is there."""
    gpu: str | None = None
    """Its name; empty: the trainer sees none; None: it could not be asked."""


def try_image(order: LaunchOrder, *, trackers_alone: bool = False) -> Trial:
    """Start one container of *order*'s image, ask it, and clear it away. Raises nothing.

    *trackers_alone* imports nothing, which takes a moment instead of a minute.
    """
    folder = Path(tempfile.mkdtemp(prefix="lanewatch-trial-"))
    try:
        modules = () if trackers_alone else get_lane(order.lane).modules
        return _try(order, RunDir(folder / f"{order.lane}-TRIAL"), modules)
    except (EngineError, OSError) as error:
        return Trial(problem=str(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _try(order: LaunchOrder, run: RunDir, modules: tuple[str, ...]) -> Trial:
    for name in FOLDERS:
        (run.root / name).mkdir(mode=0o700, parents=True)
    copy_payload(run)
    info = run_info(replace(order, root=run.root.parent)) | {"paths": paths(run, order)}
    plan = Plan(run, info)
    train = next(each for each in plan.stages if each.stage is Stage.TRAIN)
    base = Path(info["paths"]["base"])
    base.mkdir(parents=True, exist_ok=True)  # the tiny one is made by a stage
    writable, read_only = _every_mount(plan.requests(1))
    request = plan.request(train, 1)
    if (needs := request.container) is not None:
        needs = replace(needs, writable=writable, read_only=read_only)
        request = replace(request, container=needs)
    trackers = tracker_modules(order.recipe, order.lane)
    request = replace(request, argv=_argv(request, modules, trackers))
    made = [each for each in writable if not each.exists()]
    try:
        return _asked(request, get_engine(order.engine))
    finally:
        for each in made:  # the shared cache, on a machine that has none yet
            with contextlib.suppress(OSError):
                each.rmdir()


def _every_mount(
    stages: Iterable[StageRequest],
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """What any of the *stages* may write, and what all of them only read."""
    needs = [each.container for each in stages if each.container is not None]
    writable = dict.fromkeys(path for each in needs for path in each.writable)
    read_only = dict.fromkeys(path for each in needs for path in each.read_only)
    return tuple(writable), tuple(each for each in read_only if each not in writable)


def _asked(request: StageRequest, engine: Engine) -> Trial:
    handle = engine.start(request)
    deadline = time.monotonic() + TRIAL_S
    try:
        while (ended := engine.poll(handle)) is None:
            if time.monotonic() > deadline:
                engine.kill(handle)
                return Trial(problem=f"the container said nothing within {TRIAL_S:.0f} s")
            time.sleep(0.1)
    finally:
        engine.bury(request)
    return read_trial(request.log, ended)


def _argv(
    request: StageRequest, modules: tuple[str, ...], trackers: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    needs = request.container
    asked = {
        "writable": [str(each) for each in needs.writable] if needs else [str(request.folder)],
        "read_only": [str(each) for each in needs.read_only] if needs else [],
        "modules": list(modules),
        "trackers": {name: list(each) for name, each in trackers.items()},
        "mark": MARK,
    }
    python = request.argv[: request.argv.index("-m")]
    return (*python, "-c", PROGRAM, json.dumps(asked))


def read_trial(log: Path, ended: Exit) -> Trial:
    """Read what the program printed."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    said = next((line for line in reversed(lines) if line.startswith(MARK)), None)
    if said is None:
        how = f"signal {ended.signal}" if ended.signal else f"exit code {ended.code}"
        why = last_error(log) or (lines[-1] if lines else None) or ended.note or "it said nothing"
        return Trial(problem=f"the container ended with {how}: {why}")
    told: dict[str, Any] = json.loads(said.removeprefix(MARK))
    return Trial(
        uid=told["uid"],
        python=told["python"],
        mounts=told["mounts"],
        imports=told["imports"],
        trackers=told.get("trackers") or {},
        gpu=told["gpu"],
    )


def trial_checks(trial: Trial, *, needs_gpu: bool) -> Iterator[Check]:
    """What the trial means for a launch. Pure."""
    name = "image as this user"
    if trial.problem is not None:
        yield fail(name, trial.problem, "`docker logs` and the image's own notes say more")
        return
    if refused := {path: why for path, why in trial.mounts.items() if why}:
        said = "; ".join(f"{path}: {why}" for path, why in refused.items())
        remedy = "give this user the folders (`chown`), or run the engine rootless"
        yield fail("image mounts", f"uid {trial.uid} inside may not use {said}", remedy)
    else:
        count = len(trial.mounts)
        yield ok("image mounts", f"uid {trial.uid} inside reads and writes all {count} of them")
    if broken := {module: why for module, why in trial.imports.items() if why}:
        said = "; ".join(f"{module}: {why}" for module, why in broken.items())
        yield fail("image imports", said, "another image, or the lane's own pins, must be used")
    else:
        done = ", ".join(trial.imports)
        yield ok("image imports", f"Python {trial.python} imports {done}")
    yield from tracker_checks(trial)
    if trial.gpu:
        yield ok("image gpu", f"the trainer sees {trial.gpu}")
    elif needs_gpu:
        seen = "the trainer sees no GPU inside the container"
        yield fail("image gpu", seen, "`sudo systemctl restart docker` brought it back on a Spark")
    else:
        yield ok("image gpu", "the trainer sees none and needs none")


def tracker_checks(trial: Trial) -> Iterator[Check]:
    """Whether the image has what train.report_to names. Pure."""
    name = "report_to"
    if trial.problem is not None:
        remedy = "`lanewatch doctor` asks it again; the first stage in the image asks as well"
        yield warn(name, f"the image could not be asked for its trackers: {trial.problem}", remedy)
    elif absent := [each for each, there in trial.trackers.items() if not there]:
        yield fail(
            name,
            f"train.report_to names {', '.join(absent)}, which is not in the image",
            "make an image FROM it with that package (docker.image), or take it out of the recipe",
            overridable=False,
        )
    elif trial.trackers:
        yield ok(name, f"the image has {', '.join(trial.trackers)}")


__all__ = ["Trial", "read_trial", "tracker_checks", "trial_checks", "try_image"]
