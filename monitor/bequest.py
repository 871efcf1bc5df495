"""Hand work over to a process that outlives this one."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress


def leave(module: str, run: str, told: bytes) -> None:
    """Start `python -m module run` in a session of its own and tell it *told* on its stdin.

    It reads all of that before it does anything else; no argv holds what may be a secret, and far
    less than 1 MiB is written.
    """
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", module, run],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    assert child.stdin is not None
    with suppress(BrokenPipeError), child.stdin:
        child.stdin.write(told)
    child.returncode = 0  # it goes on without us: no warning that it was not waited for
