"""Docker: the engine, its GPU runtime, restarts, the image. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.words import gibibytes
from runners.doctor.facts import DockerFacts, Facts, ImageFacts
from runners.doctor.values import Check, fail, ok, warn

LEAST_VERSION = (20, 10)
ENGINE = "docker"
"""The question that the engine is asked."""


def docker_checks(facts: Facts) -> Iterator[Check]:
    """What a launch in containers needs; without one, what there is."""
    docker, launch = facts.docker, facts.launch
    needed = launch is not None and launch.in_container
    if ENGINE in facts.unanswered:
        return  # that it did not answer is a check of its own
    if docker.problem is not None:
        yield _absent(docker.problem, needed, alone=launch is None)
        return
    yield _version_check(docker)
    yield _restart_check(docker, needed)
    if launch is None or needed:
        yield _gpu_check(facts)
    if docker.rootless or docker.userns:
        yield _users_check(docker, needed)
    if needed and launch is not None and launch.image is not None:
        yield image_check(launch.image)


def _absent(problem: str, needed: bool, *, alone: bool) -> Check:
    seen, _, remedy = problem.partition(": ")
    if needed:
        return fail(
            "docker", seen, remedy or "start it: `sudo systemctl start docker`", overridable=False
        )
    if alone:
        return warn("docker", seen, remedy or "the lanes in containers need it")
    return ok("docker", f"not needed for the local engine ({seen})")


def _version_check(docker: DockerFacts) -> Check:
    name = "docker"
    numbers = (docker.version or "").split(".")[:2]
    seen = f"engine {docker.version or 'of unknown version'} answers"
    known = len(numbers) == 2 and all(each.isdigit() for each in numbers)
    if known and (int(numbers[0]), int(numbers[1])) < LEAST_VERSION:
        return warn(name, seen, "upgrade it to 20.10 or newer")
    return ok(name, seen)


def _restart_check(docker: DockerFacts, needed: bool) -> Check:
    name = "docker restarts"
    if docker.live_restore:
        return ok(name, "live-restore is on: containers outlive a restart of the engine")
    seen = "live-restore is off: a restart or upgrade of the engine ends a running training, which "
    seen += "saves first and goes on after `lanewatch resume`"
    if not needed:
        return ok(name, seen)
    remedy = 'put {"live-restore": true} into /etc/docker/daemon.json and reload the engine'
    return warn(name, seen, remedy)


def _users_check(docker: DockerFacts, needed: bool) -> Check:
    name = "docker users"
    if docker.rootless:
        return ok(name, "the engine runs rootless: stages run as uid 0 inside, as you outside")
    seen = "the engine shifts the user ids of containers (userns-remap)"
    if not needed:
        return ok(name, seen)
    remedy = "stages could not write the run's folder: use a rootless engine, or one without it"
    return fail(name, seen, remedy, overridable=False)


def _gpu_check(facts: Facts) -> Check:
    name, docker, launch = "docker gpu", facts.docker, facts.launch
    if docker.gives_gpus:
        toolkit = "NVIDIA's container toolkit" if docker.gpu_hook else "CDI"
        how = "the nvidia runtime" if "nvidia" in docker.runtimes else toolkit
        return ok(name, f"containers get GPUs through {how}")
    seen = "the engine has no NVIDIA runtime and no CDI device"
    if launch is not None and not launch.on_gpu:
        return ok(name, f"{seen}; this run trains on the CPU")
    remedy = "install nvidia-container-toolkit, then `sudo nvidia-ctk runtime configure`"
    if launch is None:
        return warn(name, seen, remedy)
    return fail(name, seen, remedy)


def image_check(image: ImageFacts) -> Check:
    """It is here, or the registry would give it."""
    name = "image"
    if image.local:
        return ok(name, f"{image.name} is on this machine")
    if image.problem is not None:
        seen = f"{image.name} is not here, and {image.problem}"
        by_hand = f"`docker pull {image.name}` by hand shows what is missing"
        return fail(name, seen, image.remedy or by_hand)
    if image.pull_bytes is None:
        return warn(
            name,
            f"{image.name} is not here, and how much a pull takes is not known",
            f"`docker pull {image.name}` beforehand, to see it",
        )
    seen = f"{image.name} is not here: a pull of {gibibytes(image.pull_bytes)}"
    return warn(name, seen, "nothing is pulled in silence: the pull is a stage of the run")
