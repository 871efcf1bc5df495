"""One stage in a container of a real engine: a few lines of Python, for no trainer is needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import until
from engine import IMAGE, Engine, python

from monitor.rundir import RunDir
from runners.engines.base import Container, Exit, StageRequest
from runners.engines.docker import DockerEngine


class Stage:
    """A run's folder and the requests for stages in it."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.run = engine, RunDir(folder / "reference-20260101-000000-abcd")
        for each in (self.run.logs, self.run.work, self.run.data):
            each.mkdir(parents=True)
        self.docker = DockerEngine()

    def request(self, code: str, attempt: int = 1, **needs: Any) -> StageRequest:
        """A stage that runs *code*."""
        fields: dict[str, Any] = {
            "image": IMAGE,
            "writable": (self.run.root,),
            "read_only": (self.run.data,),
        }
        return StageRequest(
            run=self.run.root.name,
            folder=self.run.root,
            attempt=attempt,
            stage="train",
            argv=(python(), "-c", code),
            env={},
            cwd=self.run.work,
            log=self.run.log("train"),
            lock=self.run.run_lock,
            container=Container(**(fields | needs)),
        )

    def ends(self, code: str, **needs: Any) -> Exit:
        """Run *code* to its end and return that; nothing of it is left."""
        request = self.request(code, **needs)
        handle = self.docker.start(request)
        ended: Exit = until(lambda: self.docker.poll(handle), f"the end of {code}", 60)
        self.docker.bury(request)
        assert self.containers() == []
        return ended

    def containers(self) -> list[str]:
        """Ids of all containers of this run."""
        return self.engine.docker(
            "ps", "-aq", "--no-trunc", f"--filter=label=lanewatch.folder={self.run.root}"
        ).split()

    def log(self) -> str:
        """What the stage has said."""
        return self.run.log("train").read_text()


def staged(engine: Engine, folder: Path, environment: pytest.MonkeyPatch) -> Iterator[Stage]:
    """What a fixture yields: a Stage whose engine is *engine*; its containers go afterwards."""
    for name, value in engine.env.items():
        environment.setenv(name, value)
    made = Stage(engine, folder)
    yield made
    for each in made.containers():
        engine.call("rm", "--force", each)
