"""An engine that takes a question and never answers: it hangs, or its disk is dead."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runners.doctor.docker_probes import read_docker
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


def test_what_is_no_engine_is_told_with_what_to_do(silent: Path) -> None:
    """The doctor gave the library's own words as the remedy: "('Connection aborted.', ...)"."""
    silent.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(silent))
        listening.listen()

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:  # the first one only knocks
                    asked, _ = listening.accept()
                    with asked:
                        if asked.recv(1 << 16):
                            said = b"Content-Length: 9\r\n\r\nno: \x1b[1m\n"
                            asked.sendall(b"HTTP/1.1 502 Bad Gateway\r\n" + said)

        threading.Thread(target=answer, daemon=True).start()
        problem = read_docker().problem or ""
        listening.shutdown(socket.SHUT_RDWR)  # ends the thread's wait
    seen, _, remedy = problem.partition(": ")
    assert seen.startswith("the Docker engine does not answer as one should (502 Server Error")
    assert problem.isprintable()
    assert remedy == "`systemctl status docker` may say why; is DOCKER_HOST right?"
