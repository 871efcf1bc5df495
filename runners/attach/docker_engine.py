"""Ask the Docker engine of this machine about containers; its SDK loads only when one is asked for.

The rule: what cannot be asked is said once, in one sentence, and the search goes on without it.
"""

from __future__ import annotations

import contextlib
from typing import Any

from runners.attach.values import Container
from runners.engines.docker_socket import TIMEOUT_S, engine_url, knock, socket_path
from runners.errors import EngineError

__all__ = ["DockerEngine", "container_from", "engine_url"]


class DockerEngine:
    """Answers by name or id; asks the engine once for each."""

    def __init__(self) -> None:
        self._known: dict[str, Container | None] = {}
        self.problem: str | None = None
        """Why the engine does not answer."""

    def find(self, name: str) -> Container | None:
        """The container with this id or name (or a unique beginning of its id), if there is one."""
        if name not in self._known:
            self._known[name] = self._ask(name)
        return self._known[name]

    def _ask(self, name: str) -> Container | None:
        if self.problem is not None:
            return None
        try:
            _knock(engine_url())
            return _inspect(name)
        except EngineError as error:
            self.problem = str(error)
        return None


def _knock(url: str) -> None:
    """Raise EngineError unless an engine of this machine listens."""
    path = socket_path(url, "and only processes of this one can be watched: run lanewatch there")
    knock(path, "run with sudo, or add the user to the group docker")


def _inspect(name: str) -> Container | None:
    import docker
    import docker.errors
    import requests

    try:
        client = docker.APIClient(base_url=engine_url(), version="auto", timeout=TIMEOUT_S)
        with contextlib.closing(client):
            return container_from(client.inspect_container(name))
    except docker.errors.NotFound:
        return None
    except requests.Timeout as error:
        raise EngineError(f"the Docker engine does not answer within {TIMEOUT_S} s") from error
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise EngineError(f"the Docker engine cannot be asked: {error}") from error


def container_from(inspected: dict[str, Any]) -> Container:
    """Read what `docker inspect` says; what it leaves out is not known."""
    config, state = inspected.get("Config") or {}, inspected.get("State") or {}
    driver = inspected.get("GraphDriver") or {}
    mounts = inspected.get("Mounts") or ()
    return Container(
        id=str(inspected.get("Id") or ""),
        name=str(inspected.get("Name") or "").lstrip("/"),
        image=str(config.get("Image") or ""),
        main_pid=state.get("Pid") or None,
        working_folder=str(config.get("WorkingDir") or "/"),
        mounts=tuple(
            (str(each.get("Destination")), str(each.get("Source")))
            for each in mounts
            if each.get("Source") and each.get("Destination")
        ),
        layer=(driver.get("Data") or {}).get("UpperDir"),
    )
