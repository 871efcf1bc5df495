"""From a recipe to a run that goes on without us: the folder is made, a keeper is started."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from monitor.files import write_json
from monitor.rundir import SCHEMA, RunDir, cache_root
from runners.base_identity import base_identity
from runners.cache_roots import note_root
from runners.detach import detached_argv
from runners.engines import get_engine
from runners.engines.base import Need, StageRequest
from runners.engines.docker import DockerEngine, require_image
from runners.engines.docker_access import refuse_unreadable
from runners.errors import EngineError, RunnerError
from runners.hub import hub_cache, repository_folder
from runners.keeper_kernel import READY_FD
from runners.lanes import get_lane
from runners.reuse import Donor, find_donor, take, told
from runners.runs import check_name, check_root, create_run
from runners.stages import Plan, copy_payload
from runners.trackers import tracker_modules

READY_S = 20.0
"""A keeper answers within a fraction of a second; this long only on a machine that thrashes."""

SMOKE_SAVES = 2
SMOKE_LONGEST_ROWS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOrder:
    """What to launch, all choices made."""

    recipe: Mapping[str, Any]
    """A dumped Recipe."""
    base: Path | None
    """The base model's folder; None for the one that the run makes itself."""
    recipe_hash: str
    lane: str
    engine: str
    root: Path
    name: str | None = None
    smoke_iterations: int | None = None
    """Run only so many iterations, with two forced saves, to project the whole run."""
    hub: str | None = None
    """The base's name on the hub, where the stage `fetch` has to get it."""
    python: str | None = None
    """The local engine's Python for the trainer; None means lanewatch's own."""
    wheelhouse: Path | None = None
    """A folder of wheels from which a lane's environment is installed, without network."""
    image: str | None = None
    """What an engine of containers makes them from."""
    memory_limit_gib: float | None = None
    """Of this machine, where the recipe has no limit of its own."""
    anyway: bool = False
    """Do not wait for the memory of the run before."""
    from_stage: str | None = None
    """Begin there, with what an earlier run of the same recipe made before."""
    after: str | None = None
    """Wait for the end of this run, by its id, before anything is done."""
    memory_estimate_bytes: int | None = None
    """What the run will take of the machine's memory at most; None: not known."""


def launch(order: LaunchOrder) -> RunDir:
    """Make the run, start its keeper and return at once. Raises RunnerError."""
    check_lane(order)
    info = run_info(order)
    donor = _donor(order, info)
    info |= told(donor) if donor else {}
    run = create_run(order.root, order.lane, info, order.name)
    try:
        _fill(run, order, info)
        plan = Plan(run, info)
        get_engine(order.engine).check_requests(plan.requests(1))
        if donor is not None:
            take(donor, plan)
    except BaseException:  # Ctrl-C, too, while an engine hangs
        shutil.rmtree(run.root, ignore_errors=True)  # half a run would only be in the way
        raise
    start_keeper(run)
    return run


def _donor(order: LaunchOrder, info: dict[str, Any]) -> Donor | None:
    if order.from_stage is None:
        return None
    if order.smoke_iterations is not None:
        raise RunnerError("--from and --smoke do not go together: a smoke run measures every stage")
    plans = Plan(RunDir(order.root), info).stages
    return find_donor(order.root, info, plans, order.from_stage, order.base)


def _fill(run: RunDir, order: LaunchOrder, info: dict[str, Any]) -> None:
    try:
        info["payload_hash"] = copy_payload(run)
        info["paths"] = paths(run, order)
        info["keeper_command"] = keeper_argv(run)
        content = {"run": run.root.name, "name": order.name, **info}
        write_json(run.run_json, content, durable=True)
        note_root(cache_root(), order.root.absolute())
    except OSError as error:
        raise RunnerError(
            f"cannot write {error.filename or run.root}: {error.strerror or error}"
        ) from error


def dry_run(order: LaunchOrder) -> dict[str, Any]:
    """What `launch` would start, stage by stage; nothing is made. Raises RunnerError."""
    problems = _problems(order)
    check_root(order.root)
    check_name(order.root, order.name)
    run = RunDir(order.root / f"{order.lane}-DRY-RUN")
    info = run_info(order) | {"paths": paths(run, order)}
    plan, engine = Plan(run, info), get_engine(order.engine)
    donor = _donor(order, info)
    taken = donor.stages if donor else ()
    plans = [stage for stage in plan.stages if stage.stage not in taken]
    requests = [_as_fetched(plan.request(stage, 1), order, run) for stage in plans]
    stages = [engine.describe(each) for each in requests]
    problems += _unreadable(requests)
    return {
        "lane": order.lane,
        "engine": order.engine,
        "recipe": order.recipe,
        "stages": stages,
        "taken_from": told(donor)["taken_from"] if donor else None,
        "problems": problems,
    }


def _unreadable(requests: Sequence[StageRequest]) -> list[str]:
    """What a container could not read of the base, told once."""
    for needs in (each.container for each in requests if each.container is not None):
        try:
            refuse_unreadable(needs)
        except EngineError as error:
            return [str(error)]
    return []


def _as_fetched(request: StageRequest, order: LaunchOrder, run: RunDir) -> StageRequest:
    """The request as it is once `fetch` has made the run's base a link into the hub's cache."""
    needs, link = request.container, run.work / "base"
    if order.hub is None or needs is None or link not in needs.read_only:
        return request
    repository = repository_folder(order.hub, hub_cache())
    read_only = tuple(repository if each == link else each for each in needs.read_only)
    return replace(request, container=replace(needs, read_only=read_only))


def _problems(order: LaunchOrder) -> list[str]:
    """Why the containers could not be started here; they can be shown all the same."""
    if not in_containers(order):
        check_lane(order)
        return []
    require_image(order.image, order.lane)
    try:
        check_lane(order)
    except EngineError as error:
        return [str(error)]
    return []


def check_lane(order: LaunchOrder) -> None:
    """Raise RunnerError if the lane could not run on the engine here."""
    lane, engine = get_lane(order.lane), get_engine(order.engine)
    check_root(order.root)
    if in_containers(order):
        _check_extra(order)
    engine.check(
        Need(
            lane=lane.name,
            modules=lane.modules,
            extra=lane.extra,
            python=order.python or sys.executable,
            image=order.image,
            pull=(order.recipe.get("docker") or {}).get("pull") != "never",
            trackers=tracker_modules(order.recipe, lane.name),
        )
    )


def _check_extra(order: LaunchOrder) -> None:
    """The engine refuses a mount of nothing only once the image is here: that may take hours."""
    for named in (order.recipe.get("docker") or {}).get("read_only") or ():
        try:
            Path(named).stat()
        except OSError as error:
            raise EngineError(
                f"docker.read_only: {named} cannot be mounted ({error.strerror or error}): have it "
                "here, or take it out of the recipe"
            ) from error


def in_containers(order: LaunchOrder) -> bool:
    """True for an engine that makes a container of each stage."""
    return order.engine == DockerEngine.name


def run_info(order: LaunchOrder) -> dict[str, Any]:
    """run.json, apart from what needs the folder."""
    iterations = order.recipe["train"]["iterations"]
    smoke = order.smoke_iterations
    info = {
        "schema": SCHEMA,
        "created_wall": time.time(),
        "lane": order.lane,
        "engine": order.engine,
        "kind": "full" if smoke is None else "smoke",
        "recipe": order.recipe,
        "recipe_hash": order.recipe_hash,
        "iterations": smoke or (iterations if isinstance(iterations, int) else None),
        "smoke": smoke and _smoke(smoke),
        "python": order.python or sys.executable,
        "wheelhouse": str(order.wheelhouse) if order.wheelhouse else None,
        "paths": {"base": order.recipe["model"]["path"]},
        "base_identity": base_identity(order.base),
        "fetch": {"hub": order.hub, "cache": str(hub_cache())} if order.hub else None,
        "image": {"name": order.image} if in_containers(order) else None,
        "versions": versions(),
        "data": None,
        "memory_limit_bytes": _limit_bytes(order.recipe, order.memory_limit_gib),
        "memory_estimate_bytes": order.memory_estimate_bytes,
        "anyway": order.anyway,
        "after": order.after,
    }
    stages = Plan(RunDir(order.root), info).stages
    return info | {"stages": [plan.stage.value for plan in stages]}


def _smoke(iterations: int) -> dict[str, int]:
    return {"iterations": iterations, "saves": SMOKE_SAVES, "longest": SMOKE_LONGEST_ROWS}


def _limit_bytes(recipe: Mapping[str, Any], default_gib: float | None) -> int | None:
    limit = (recipe.get("memory") or {}).get("limit_gib") or default_gib
    return int(limit * 2**30) if limit else None


def paths(run: RunDir, order: LaunchOrder) -> dict[str, str]:
    """Where the run finds its base and keeps its checkpoints."""
    base = order.base or run.work / "base"
    return {
        "base": str(base),
        "checkpoints": str(run.checkpoints),
        "cache": str(cache_root()),
    }


def versions() -> dict[str, str]:
    """What made the run, for whoever reads it in a year."""
    return {
        "lanewatch": importlib.metadata.version("lanewatch"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
    }


def keeper_argv(run: RunDir) -> list[str]:
    """How a keeper of *run* is started; the watcher, which knows no more of it, does so too."""
    return [sys.executable, "-P", "-m", "runners.keeper", str(run.root)]


def start_keeper(run: RunDir, *flags: str) -> None:
    """Start a keeper that outlives us and wait until it owns the run.

    Raises RunnerError with the keeper's own sentence when it refuses.
    """
    argv = [*keeper_argv(run), *flags]
    try:
        log = os.open(run.logs / "keeper.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise RunnerError(f"cannot write in {run.logs}: {error.strerror or error}") from error
    try:
        detached = detached_argv(argv, run.root.name)
        answer = _start_and_ask(detached, log)
        if not answer and detached != argv:
            answer = _start_and_ask(argv, log)  # systemd refused: a session of its own must do
    finally:
        os.close(log)
    if answer.startswith("error "):
        raise RunnerError(answer.removeprefix("error "))
    if answer != "ok":
        raise RunnerError(f"the keeper of {run.root.name} did not start; see {run.logs}/keeper.log")


def _start_and_ask(argv: Sequence[str], log: int) -> str:
    """Start a keeper and return its first word: "ok", "error ...", or nothing at all."""
    reading, writing = os.pipe()
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(writing,),
            env=os.environ | {READY_FD: str(writing)},
            start_new_session=True,
            cwd="/",
        )
    finally:
        os.close(writing)
    answer = _answer(reading)
    if answer == "ok":
        child.returncode = 0  # it goes on without us: no warning that it was not waited for
    return answer


def _answer(reading: int) -> str:
    parts: Sequence[bytes] = []
    deadline = time.monotonic() + READY_S
    try:
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([reading], [], [], left)
            chunk = os.read(reading, 4096) if ready else b""
            if not chunk:
                break
            parts = [*parts, chunk]
    finally:
        os.close(reading)
    return b"".join(parts).decode(errors="replace")
