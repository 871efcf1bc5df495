"""Where a stage runs: each engine starts one, finds it again, and tells how it ended."""

from __future__ import annotations

from collections.abc import Callable

from runners.engines.base import Engine
from runners.engines.docker import DockerEngine
from runners.engines.local import LocalEngine
from runners.errors import EngineError

ENGINES: dict[str, Callable[[], Engine]] = {"docker": DockerEngine, "local": LocalEngine}


def get_engine(name: str) -> Engine:
    """Return the engine called *name*. Raises EngineError that lists the known ones."""
    try:
        return ENGINES[name]()
    except KeyError:
        known = ", ".join(sorted(ENGINES))
        raise EngineError(f"unknown engine {name!r}; known: {known}") from None
