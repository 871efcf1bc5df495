"""Programs that a test starts as pieces of a pipeline: none of them outlives it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

ENOUGH_S = 10.0

Start = Callable[..., subprocess.Popen[bytes]]


def starting() -> Iterator[Start]:
    """What a fixture yields: starts a command; all of them are killed and reaped afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: str, **streams: int | None) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(command, **streams)
        started.append(child)
        return child

    yield start
    for child in started:
        with suppress(ProcessLookupError):
            child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                stream.close()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until *condition* holds; the test fails, with *what*, when it does not in time."""
    deadline = time.monotonic() + ENOUGH_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"it never came to this: {what}")
        time.sleep(0.01)
