"""A part of tui.py: how long from `ssh` to a readable verdict, 100 ms away.

A relay (`tests/integration/remote.py`) delays each direction by half of that, since not every
kernel has netem. As over a network a connection is there after a round trip; what the relay lacks
is a limit to its bandwidth, and lost packets.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from measure import Result, environment, lanewatch
from remote import Line, Server
from runs import settle
from terminal import Terminal

LOGIN_BUDGET_MS = 1500.0
DRAWN = "heartbeat"
"""Stands on a run's screen once the run has been read and judged."""
ROUND_TRIP_S = 0.1
READY = "ready"


def logins(result: Result, run: str, verdict: str, rounds: int) -> None:
    """Log in *rounds* times and wait for *verdict*, then for the whole screen of *run*."""
    took: dict[str, list[float]] = {"printf": [], "lanewatch": [], "screen": []}
    with tempfile.TemporaryDirectory(prefix="lanewatch-bench-") as folder:
        server = Server(Path(folder) / "sshd")
        try:
            line = Line(server.port, ROUND_TRIP_S / 2)
            there = _environment()
            programs = {
                "printf": (["sh", "-c", f"printf {READY}; read line"], READY),
                "lanewatch": (lanewatch(run), verdict),
            }
            for number in range(rounds + 1):
                for name, (words, text) in programs.items():
                    argv = server.argv(words, there, port=line.port)
                    with Terminal(argv, 160, 48) as screen:
                        shown_s = screen.wait_shown(text)
                        drawn_s = screen.wait_shown(DRAWN) if name == "lanewatch" else 0.0
                        screen.type(b"q\n")
                        settle(0.5)  # the other end says goodbye
                    if number:
                        took[name].append(1000 * shown_s)
                    if number and drawn_s:
                        took["screen"].append(1000 * drawn_s)
            line.close()
        finally:
            server.close()
    ours, floor = took["lanewatch"], took["printf"]
    result.add("ssh to verdict readable, 100 ms away", "ms", ours, budget=LOGIN_BUDGET_MS)
    result.add("ssh to the whole screen, 100 ms away", "ms", took["screen"])
    result.add("ssh to the output of printf, 100 ms away", "ms", floor)


def _environment() -> dict[str, str]:
    names = ("PATH", "PYTHONPATH", "LC_ALL", "TERM", "COLORTERM", "HOME")
    ours = environment()
    return {
        key: value
        for key, value in ours.items()
        if key in names or key.startswith(("LANEWATCH_", "XDG_"))
    }
