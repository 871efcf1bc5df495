"""All checks over the facts, in the order in which a person reads them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.words import gibibytes
from runners.doctor.disk_checks import disk_checks
from runners.doctor.docker_checks import docker_checks
from runners.doctor.facts import Facts, LaunchFacts
from runners.doctor.landmines import landmine_checks
from runners.doctor.machine_checks import machine_checks
from runners.doctor.memory_checks import memory_checks
from runners.doctor.values import Check, Examination, fail, ok, warn


def judge(facts: Facts, more: tuple[Check, ...] = ()) -> Examination:
    """Return all checks; *more* are those that somebody else has made (rows, trainer, image)."""
    launch = facts.launch
    checks = [*docker_checks(facts)]
    if launch is not None:
        checks += [] if "base" in facts.unanswered else [base_check(launch)]
    checks += more
    if launch is not None:
        checks += disk_checks(launch, facts.docker)
    checks += [*memory_checks(facts), *machine_checks(facts), *landmine_checks(facts)]
    checks += _unanswered(facts)
    return Examination(
        checks=tuple(checks),
        lane=launch.lane if launch else None,
        engine=launch.engine if launch else None,
        memory_estimate_bytes=_of_machine(facts),
    )


def _of_machine(facts: Facts) -> int | None:
    launch = facts.launch
    if launch is None or launch.estimate is None:
        return None
    shared = facts.machine.unified is True or not launch.on_gpu
    return launch.estimate.of_machine(unified=shared)


def base_check(launch: LaunchFacts) -> Check:
    """The base model is here and whole."""
    base, name = launch.base, "base"
    if base.made_here:
        return ok(name, f"{base.name} is made on the spot")
    if base.problem is not None:
        seen, _, remedy = base.problem.partition("; ")
        return fail(name, seen, remedy or "name a local folder, or fetch it", overridable=False)
    if base.hub is not None:
        seen = f"{base.hub} is not on this machine: the stage `fetch` loads it from the hub"
        return warn(name, seen, "its sizes can be checked once it is in the Hugging Face cache")
    if not base.bytes:
        seen = f"{base.folder} holds no *.safetensors"
        return warn(name, seen, "the merged model cannot be compared with it: convert it first")
    return ok(name, f"{base.folder}" + (f", {gibibytes(base.bytes)}" if base.bytes else ""))


def _unanswered(facts: Facts) -> Iterator[Check]:
    for name in facts.unanswered:
        yield warn(
            name, "did not answer in time", "`lanewatch doctor` waits for it longer than a launch"
        )
