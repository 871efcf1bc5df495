"""The connection to this machine's Docker engine: every failure is an EngineError in one sentence.

The SDK loads at the first question, so that a run that needs no container never pays for it. The
engine may go away and come back at any time; the next question simply asks again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from monitor.model import ProcessId
from monitor.probes.text import clean_line
from runners.engines.docker_errors import EngineSilentError, in_words, no_answer
from runners.engines.docker_request import CDI_KIND, USUAL_GPU
from runners.engines.docker_socket import engine_url, knock, listener, socket_path
from runners.errors import EngineError

T = TypeVar("T")

ANSWER_S = 60
"""A container of a 70 GB image takes its time to be made; anything else answers in moments."""
GREETING_S = 15
"""Its version; also long enough for an engine that its socket starts only now."""

ELSEWHERE = "where this machine's files are not: run lanewatch on that host"


class NotThereError(EngineError):
    """No such container or image."""


class DockerConnection:
    """Asks the engine; connects at the first question."""

    def __init__(self, *, answer_s: int = ANSWER_S, elsewhere: str = ELSEWHERE) -> None:
        self._answer_s, self._elsewhere = answer_s, elsewhere
        self._waits_s = min(GREETING_S, answer_s)
        self._client: Any = None
        self._about: dict[str, Any] | None = None

    def ask(self, question: Callable[[Any], T], image: str | None = None) -> T:
        """The answer to *question*, which gets the SDK's low-level client.

        Raises NotThereError, EngineSilentError while nobody answers, and EngineError otherwise.
        """
        # The SDK's own errors are requests' as well as its own: see each one's place in its tree.
        import docker.errors
        import requests
        import urllib3.exceptions

        gone = (
            docker.errors.DockerException,
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
        )
        try:
            return question(self._connected())
        except docker.errors.NotFound as error:
            raise NotThereError(in_words(_words(error), image)) from error
        except docker.errors.APIError as error:
            raise EngineError(in_words(_words(error), image)) from error
        except gone as error:
            late = any(isinstance(each, requests.Timeout) for each in _causes(error))
            if late:
                raise EngineSilentError(self._late()) from error
            self.close()
            raise EngineSilentError(no_answer(_words(error))) from error

    def _late(self) -> str:
        return (
            f"the Docker engine did not answer in {self._waits_s} s: does it hang? "
            "`systemctl status docker` and `journalctl -u docker` may say why"
        )

    def about(self, *, anew: bool = False) -> dict[str, Any]:
        """What `docker info` says; asked once, unless *anew*. Raises EngineError."""
        if self._about is None or anew:
            self._about = dict(self.ask(lambda client: client.info()))
        return self._about

    def process(self) -> ProcessId | None:
        """The engine's own process, where that can be told."""
        try:
            return listener(socket_path(engine_url(), self._elsewhere))
        except EngineError:
            return None

    def close(self) -> None:
        """Forget the connection; the next question makes a new one."""
        if self._client is not None:
            self._client.close()
        self._client = self._about = None

    def _connected(self) -> Any:
        if self._client is None:
            import docker

            url = engine_url()
            path = socket_path(url, self._elsewhere)
            try:
                knock(path)
            except EngineError as error:
                raise EngineSilentError(str(error)) from error
            self._waits_s = min(GREETING_S, self._answer_s)
            client = docker.APIClient(base_url=url, version="auto", timeout=self._waits_s)
            client.timeout = self._waits_s = self._answer_s
            self._client = client
        return self._client


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it, as its libraries wrapped it."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _words(error: Exception) -> str:
    explanation = getattr(error, "explanation", None)
    return str(explanation or error)


def rootless(about: dict[str, Any]) -> bool:
    """True where the engine runs as this user: its uid 0 is us."""
    return _secured(about, "rootless")


def remapped(about: dict[str, Any]) -> bool:
    """True where the uids of containers are others than they look (userns-remap)."""
    return _secured(about, "userns") and not rootless(about)


def _secured(about: dict[str, Any], word: str) -> bool:
    options = about.get("SecurityOptions") or ()
    return any(f"name={word}" in str(each).split(",") for each in options)


HOOK = "nvidia-container-runtime-hook"
"""With this program on its PATH an engine hands out GPUs, whether or not it names the runtime."""
HOOK_PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def gpu_request(about: dict[str, Any]) -> dict[str, Any] | None:
    """How this engine is asked for one GPU; None where it has none to give."""
    if "nvidia" in (about.get("Runtimes") or {}) or hook_is_there():
        return dict(USUAL_GPU)
    if names := cdi_gpus(about):
        one = [each for each in names if not each.endswith("=all")]
        return {"Driver": "cdi", "DeviceIDs": [(one or names)[0]]}
    return None


def has_gpu(about: dict[str, Any]) -> bool:
    """True where the engine can hand a GPU to a container."""
    return gpu_request(about) is not None


def cdi_gpus(about: dict[str, Any]) -> list[str]:
    """The GPUs that the engine has found through CDI, by name."""
    devices = about.get("DiscoveredDevices") or ()
    found = sorted(str(each.get("ID", "")) for each in devices if isinstance(each, dict))
    return [each for each in found if each.startswith(CDI_KIND)]


def hook_is_there() -> bool:
    """NVIDIA's container toolkit is installed; the engine may not have been told of a runtime."""
    return shutil.which(HOOK, path=HOOK_PLACES) is not None


def live_restore(about: dict[str, Any]) -> bool:
    """True where containers outlive a restart of the engine."""
    return about.get("LiveRestoreEnabled") is True


def elsewhere(about: dict[str, Any]) -> str | None:
    """Why the engine's containers are no processes of this kernel, and what to do; None: they are.

    A socket of this machine may be another's engine, by an `ssh -L` say, and a pid that it tells
    would then be some other process here.
    """
    if "Docker Desktop" in str(about.get("OperatingSystem")):
        return (
            "Docker Desktop runs containers in a virtual machine, where neither their processes "
            "nor their memory can be watched: use Docker's engine itself"
        )
    here = os.uname()
    name, kernel = about.get("Name") or here.nodename, about.get("KernelVersion") or here.release
    if (name, kernel) == (here.nodename, here.release):
        return None
    return (
        f"the engine that answers is that of {clean_line(str(name))} (Linux "
        f"{clean_line(str(kernel))}), and this is {here.nodename} (Linux {here.release}): run "
        "lanewatch on that host, or let DOCKER_HOST name this machine's own engine"
    )
