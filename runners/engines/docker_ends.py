"""Why a container ended, beyond its exit code: what was done to it, as far as the engine knows."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import Any

from runners.engines.docker_client import DockerConnection
from runners.errors import EngineError

RESTARTED = (
    "the Docker engine was started anew meanwhile, which stops its containers unless live-restore "
    "is on"
)

REMOVED = "its container was removed by somebody else"
BEGUN_AGAIN = "its container was started again by somebody else; `lanewatch resume` goes on"

BY_COMMAND = "by `docker kill`, `docker stop` or another command to the engine"
TOLD_S = 30
"""Within so many seconds before the end of a container is known."""

NEVER = "0001-01-01T00:00:00Z"
"""When a container ended that has not."""

NO_SUCH_PROGRAM = 127
PYTHON_HINT = "docker.python says which Python of the image runs"


def by_command(engine: DockerConnection, container: str) -> str | None:
    """Whether the engine was told to end the container; it remembers that for a while."""
    now = int(time.time())
    wanted = {"container": container, "event": ["kill", "stop"]}
    with contextlib.suppress(EngineError, ValueError):
        told = engine.ask(
            lambda client: list(
                client.events(since=now - TOLD_S, until=now + 1, filters=wanted, decode=True)
            )
        )
        if any(map(_ends_it, told)):
            return BY_COMMAND
    return None


def _ends_it(event: dict[str, Any]) -> bool:
    how = ((event.get("Actor") or {}).get("Attributes") or {}).get("signal")
    return event.get("Action") == "stop" or how == str(int(signal.SIGKILL))


def has_ended_before(state: dict[str, Any]) -> bool:
    """True for a container that ended once and was started again, by what the engine says."""
    return str(state.get("FinishedAt") or NEVER) != NEVER
