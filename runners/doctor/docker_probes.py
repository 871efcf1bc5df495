"""Ask the Docker engine and an image's registry; nothing is changed and nothing is pulled."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from runners.doctor.facts import ContainerFacts, DockerFacts, ImageFacts
from runners.engines.docker_client import (
    DockerConnection,
    NotThereError,
    cdi_gpus,
    elsewhere,
    hook_is_there,
    live_restore,
    remapped,
    rootless,
)
from runners.engines.docker_errors import pull_in_words
from runners.engines.docker_request import ROOT, RUN
from runners.engines.registry import image_size, stored_credentials
from runners.errors import EngineError


def read_docker() -> DockerFacts:
    """What the engine of this machine says of itself and its containers."""
    connection = DockerConnection()
    try:
        about = connection.about()
        listed = connection.ask(lambda client: client.containers(all=True))
        containers = tuple(_container(connection, each) for each in listed)
    except EngineError as error:
        return DockerFacts(problem=str(error))
    finally:
        connection.close()
    if (why := elsewhere(about)) is not None:
        return DockerFacts(problem=why)
    return docker_facts(about, containers)


def docker_facts(about: dict[str, Any], containers: tuple[ContainerFacts, ...]) -> DockerFacts:
    """Read `docker info`; what it leaves out is not known."""
    runtimes = tuple(sorted(about.get("Runtimes") or ()))
    root = about.get("DockerRootDir")
    return DockerFacts(
        version=about.get("ServerVersion"),
        runtimes=runtimes,
        cdi_gpus=tuple(cdi_gpus(about)),
        gpu_hook=hook_is_there(),
        live_restore=live_restore(about),
        rootless=rootless(about),
        userns=remapped(about),
        data_root=root,
        data_free_bytes=_free(root) if isinstance(root, str) else None,
        containers=containers,
    )


def _container(connection: DockerConnection, listed: dict[str, Any]) -> ContainerFacts:
    names = listed.get("Names") or ("",)
    return ContainerFacts(
        id=str(listed.get("Id") or ""),
        name=str(names[0]).lstrip("/"),
        image=str(listed.get("Image") or ""),
        running=listed.get("State") == "running",
        run=(listed.get("Labels") or {}).get(RUN),
        root=(listed.get("Labels") or {}).get(ROOT),
        restart=_restart(connection, str(listed.get("Id") or "")),
    )


def _restart(connection: DockerConnection, container: str) -> str:
    """Its restart policy, which a list leaves out; empty once it is gone."""
    try:
        seen = connection.ask(lambda client: client.inspect_container(container))
    except EngineError:
        return ""
    return str(((seen.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") or "")


def _free(path: str) -> int | None:
    there = Path(path)
    try:
        while not there.exists():
            there = there.parent
        stat = os.statvfs(there)
    except OSError:
        return None
    return stat.f_bavail * stat.f_frsize


def read_image(name: str, *, may_pull: bool = True) -> ImageFacts:
    """Whether the image is here; where it is not, what its registry says of a pull, if one may."""
    found = find_image(name, may_pull=may_pull)
    return ask_registry(name) if to_be_pulled(found) else found


def to_be_pulled(image: ImageFacts) -> bool:
    """It is not here, and may be got."""
    return image.local is False and image.problem is None


def find_image(name: str, *, may_pull: bool = True) -> ImageFacts:
    """Whether the image is here, as the engine knows at once."""
    connection = DockerConnection()
    try:
        connection.ask(lambda client: client.inspect_image(name))
    except NotThereError:
        if not may_pull:
            return ImageFacts(
                name=name,
                local=False,
                problem="docker.pull forbids to get it",
                remedy=f'`docker pull {name}`, or docker.pull = "missing"',
            )
        return ImageFacts(name=name, local=False)
    except EngineError as error:
        return ImageFacts(name=name, problem=str(error))
    finally:
        connection.close()
    return ImageFacts(name=name, local=True)


def ask_registry(name: str) -> ImageFacts:
    """What the registry of an image that is not here says of it; takes as long as the network."""
    try:
        size = image_size(name, stored_credentials(name))
    except EngineError as error:
        known = pull_in_words(str(error.__cause__), name)
        problem, _, remedy = known.partition(": ") if known else (str(error), "", "")
        return ImageFacts(name=name, local=False, problem=problem, remedy=remedy or None)
    return ImageFacts(name=name, local=False, pull_bytes=size.bytes)
