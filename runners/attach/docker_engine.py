"""Ask the Docker engine of this machine about containers; its SDK loads only when one is asked for.

The rule: what cannot be asked is said once, in one sentence, and the search goes on without it.
"""

from __future__ import annotations

from typing import Any

from runners.attach.values import Container
from runners.engines.docker_client import DockerConnection, NotThereError, elsewhere
from runners.errors import EngineError

ANSWER_S = 10
ELSEWHERE = "and only processes of this one can be watched: run lanewatch there"


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
        engine = DockerConnection(answer_s=ANSWER_S, elsewhere=ELSEWHERE)
        try:
            if (why := elsewhere(engine.about())) is not None:
                raise EngineError(why)  # its pids would be those of other processes here
            return container_from(engine.ask(lambda client: client.inspect_container(name)))
        except NotThereError:
            return None
        except EngineError as error:
            self.problem = str(error)
        finally:
            engine.close()
        return None


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
