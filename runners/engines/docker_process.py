"""Which process of this host a container's stage is.

The rule: the stage's own process is watched, not the init that the engine puts before it.
"""

from __future__ import annotations

import time

from monitor.model import ProcessId
from monitor.probes.clock import boot_id
from monitor.probes.process import identify
from monitor.probes.raw import read_proc

CHILD_S = 3.0
"""How long the container's init may take to start the stage's own process."""

NO_PROCESS = 0
"""The pid of a container that has ended."""


def main_process(init: int) -> ProcessId:
    """The stage's own process: the one child of the container's init, once that has started it."""
    ended = ProcessId(pid=NO_PROCESS, boot_id=boot_id(), start_ticks=0)
    if init == NO_PROCESS:
        return ended
    deadline = time.monotonic() + CHILD_S
    while (own := identify(init)) is not None:
        for child in children(init):
            if (found := identify(child)) is not None:
                return found
        if time.monotonic() > deadline:
            return own
        time.sleep(0.01)
    return ended


def children(pid: int) -> list[int]:
    """The processes that *pid* started and that live."""
    try:
        return list(map(int, read_proc(f"/proc/{pid}/task/{pid}/children").split()))
    except (OSError, ValueError):
        return []
