"""An engine that takes a question and never answers: it hangs, or its disk is dead."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runners.engines import docker_client
from runners.engines.docker_client import DockerConnection
from runners.engines.docker_errors import EngineSilentError


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        yield path


@pytest.mark.usefixtures("silent")
def test_a_silent_engine_is_not_waited_for_as_long_as_a_container_may_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(docker_client, "GREETING_S", 1)
    with pytest.raises(EngineSilentError, match=r"did not answer in 1 s: does it hang\?"):
        DockerConnection().about()
