"""Children that ask in our place, and are ended without being waited for.

The rule: whoever a file server holds cannot even be killed. It is left behind, and asked again
later whether it has ended.
"""

from __future__ import annotations

import contextlib
import subprocess

REAP_S = 0.2
_LEFT: list[subprocess.Popen[bytes]] = []


def end_child(child: subprocess.Popen[bytes]) -> None:
    """Kill *child* and close what it wrote into; it is waited for `REAP_S` at most."""
    child.kill()
    for stream in (child.stdout, child.stderr):
        if stream is not None:
            stream.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(REAP_S)
    _LEFT[:] = [each for each in (*_LEFT, child) if each.poll() is None]
