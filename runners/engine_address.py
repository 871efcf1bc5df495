"""Which Docker engine a run's containers are in, whatever shell or service brings its keeper back.

The rule: the engine that the run began with, until somebody resumes it where another one is named:
asked for its containers, another engine would say that they were removed.
"""

from __future__ import annotations

import os

from monitor.files import read_json
from monitor.rundir import RunDir
from runners.engines.docker import DockerEngine
from runners.engines.docker_socket import DEFAULT, engine_url
from runners.errors import EngineError

VARIABLE = "DOCKER_HOST"
KEY = "docker_host"
"""In state.json."""


def settle(run: RunDir, *, anew: bool) -> None:
    """Let this process and its children ask the run's own engine; *anew*: an attempt is to begin.

    Where the address cannot be told, whoever asks the engine says why.
    """
    if (read_json(run.run_json).value or {}).get("engine") != DockerEngine.name:
        return
    kept = (read_json(run.state).value or {}).get(KEY)
    try:
        named = engine_url()
    except EngineError:
        named = None
    said = any(map(os.environ.get, (VARIABLE, "DOCKER_CONTEXT"))) or named != DEFAULT
    if not isinstance(kept, str) or not kept or (anew and said and named is not None):
        kept = named
    if kept is not None:
        os.environ[VARIABLE] = kept


def settled() -> str | None:
    """What `settle` has decided, for state.json."""
    return os.environ.get(VARIABLE)
