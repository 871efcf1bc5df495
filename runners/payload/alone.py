"""Make a folder that runs share one at a time: whoever comes second waits, then finds it there."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .causes import StageError
from .contract import Contract, say

LOOK_S = 0.5


def shared_folder(parent: Path, lane: str, key: Mapping[str, Any]) -> Path:
    """Where in *parent* the folder of *lane* lies that *key* decides, there or not."""
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return parent / f"{lane}-{digest[:16]}"


@contextlib.contextmanager
def alone(folder: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Be the only one who makes *folder*; *on_wait* is called now and then while another does.

    The lock ends with its holder, however that ends. Raises StageError.
    """
    lock = folder.with_name(f".{folder.name}.lock")
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StageError(f"the cache cannot be written: {lock}: {error.strerror}") from error
    try:
        while not _taken(descriptor):
            on_wait()
            time.sleep(LOOK_S)
        yield
    finally:
        os.close(descriptor)


def wait_aloud(contract: Contract, sentence: str) -> None:
    """What a stage does while another makes its folder: beats, ends when asked, says so once."""
    contract.raise_if_stopped()
    contract.heartbeat()
    if not contract.facts.get("waited"):
        contract.facts["waited"] = True
        say(sentence)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
