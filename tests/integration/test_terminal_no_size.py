"""A terminal that names no size (a serial line, say): the screen comes to rest."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import time

from compared import make_run
from conftest import CLI, Lanewatch, until

QUIET_S = 1.5
"""Longer than a tick: who draws without end is never silent for so long."""
MUCH = 200_000
"""Bytes; a screen of 80 columns is a few thousand."""


def test_a_run_that_has_ended_is_drawn_and_then_nothing_more_is_sent(lanewatch: Lanewatch) -> None:
    run = make_run(lanewatch.root, "night")
    ours, theirs = pty.openpty()
    there = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    argv = [*CLI, run.root.name]
    screen = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=there)
    os.close(theirs)
    written = bytearray()
    last_s = time.monotonic()

    def read() -> None:
        nonlocal last_s
        if select.select([ours], [], [], 0.05)[0]:
            with contextlib.suppress(OSError):  # the end of a terminal
                written.extend(os.read(ours, 65536))
                last_s = time.monotonic()

    def rests() -> bool:
        read()
        at_rest = b"finished" in written and time.monotonic() - last_s > QUIET_S
        return at_rest or len(written) > MUCH

    try:
        until(rests, "it comes to rest")
        assert len(written) <= MUCH
        os.write(ours, b"q")
        until(lambda: (read(), screen.poll())[1] is not None, "it ends")
        assert screen.returncode == 0
    finally:
        screen.kill()
        screen.wait()
        os.close(ours)
