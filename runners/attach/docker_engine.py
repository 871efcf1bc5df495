"""Ask the Docker engine of this machine about containers; its SDK loads only when one is asked for.

The rule: what cannot be asked is said once, in one sentence, and the search goes on without it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from runners.attach.values import Container
from runners.errors import EngineError

if TYPE_CHECKING:
    from docker import APIClient

TIMEOUT_S = 10
DEFAULT = "unix:///var/run/docker.sock"


class DockerEngine:
    """Answers by name or id; asks the engine once for each."""

    def __init__(self) -> None:
        self._client: APIClient | None = None
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
        import docker.errors
        import requests

        try:
            if self._client is None:
                self._client = self._connect()
            return container_from(self._client.inspect_container(name))
        except docker.errors.NotFound:
            return None
        except EngineError as error:
            self.problem = str(error)
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            self.problem = explain(error, engine_url())
        return None

    def _connect(self) -> APIClient:
        import docker

        url = engine_url()
        if not url.startswith(("unix://", "/", "fd://", "npipe://")):
            raise EngineError(
                f"DOCKER_HOST={url} is another machine's engine, and only processes of this one "
                "can be watched: run lanewatch there"
            )
        return docker.APIClient(base_url=url, version="auto", timeout=TIMEOUT_S)


def engine_url() -> str:
    """Where the engine is: `$DOCKER_HOST`, else the usual socket."""
    return os.environ.get("DOCKER_HOST") or DEFAULT


def explain(error: BaseException, url: str) -> str:
    """One sentence for what the SDK raised; it wraps the cause several times."""
    texts: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(texts) < 10:
        texts.append(f"{type(cause).__name__} {cause}")
        cause = cause.__cause__ or cause.__context__
    told = " ".join(texts)
    if "PermissionError" in told or "Permission denied" in told:
        return (
            f"this user may not ask Docker ({url}): run with sudo, or add the user to the "
            "group docker"
        )
    if "FileNotFoundError" in told or "ConnectionRefusedError" in told:
        return f"no Docker engine answers at {url}: is it running, is DOCKER_HOST right?"
    if "timed out" in told:
        return f"the Docker engine at {url} does not answer within {TIMEOUT_S} s"
    return f"the Docker engine at {url} cannot be asked: {error}"


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
