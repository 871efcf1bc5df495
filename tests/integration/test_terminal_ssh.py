"""Over SSH: a run launched from the form outlives its connection, and is found again."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CLI, Lanewatch, state, trained, until
from remote import Line, Server
from terminals import Terminal
from test_terminal_launch import remember, the_run

from monitor.probes.process import find_by_environment

MARK = "LANEWATCH_TEST_CONNECTION"


def called(server: Server, connection: str, *words: str, port: int | None = None) -> str:
    """What one types to see lanewatch over SSH; the processes there carry *connection*."""
    env = {
        key: value
        for key, value in os.environ.items()
        if key.startswith(("LANEWATCH_", "XDG_")) or key in ("PYTHONPATH", "LANG", "PATH")
    }
    env |= {"LC_ALL": "C.UTF-8", MARK: connection}
    return shlex.join(server.argv([*CLI, *words], env, port=port))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    assert shutil.which("ssh"), "install openssh-client and openssh-server: this is tested over SSH"
    made = Server(tmp_path / "sshd")
    yield made
    made.close()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path / "tmux", 120, 40)
    yield made
    made.close()


def _screens(connection: str) -> list[int]:
    """Our own screens at the other end of *connection*, not the runs that they launched."""
    found = find_by_environment({MARK: connection})
    commands = {each.pid: Path(f"/proc/{each.pid}/cmdline") for each in found}
    return [pid for pid, path in commands.items() if _is_screen(path)]


def _is_screen(command: Path) -> bool:
    try:
        words = command.read_bytes().split(b"\0")
    except OSError:
        return False
    return words[0] == os.fsencode(sys.executable) and b"tui" in words


def test_a_run_outlives_the_connection_that_launched_it(
    lanewatch: Lanewatch, terminal: Terminal, server: Server, tmp_path: Path
) -> None:
    remember(lanewatch.root, iterations=100_000, save_interval=50_000)
    terminal.command(called(server, "first"))
    terminal.shows("No runs yet")
    terminal.type("n")
    terminal.shows("before the launch")
    terminal.type("L")
    terminal.shows("When memory reaches its limit?")
    terminal.type("Enter")
    run = the_run(lanewatch.root)
    until(lambda: trained(run) >= 2, "two iterations")
    terminal.shows("training")
    before = state(run)

    (screen,) = _screens("first")
    connection = _ancestor(screen, b"sshd")
    os.kill(connection, signal.SIGKILL)  # no goodbye: the network is gone
    until(lambda: not _screens("first"), "the screen without a terminal ends")
    done = trained(run)
    until(lambda: trained(run) > done + 2, "training goes on")
    after = state(run)
    assert after["keeper"] == before["keeper"]
    assert after["watcher"] == before["watcher"]
    assert lanewatch.json("status", run.root.name)["watcher"]["alive"]

    again = Terminal(tmp_path / "again", 80, 24)
    try:
        again.command(called(server, "second", run.root.name))
        again.shows("training", "heartbeat")
        again.type("q")
        again.shows("goes on")
    finally:
        again.close()
    lanewatch("kill", run.root.name)
    lanewatch("wait", run.root.name, code=1)


def test_the_screen_is_usable_300_ms_away(
    lanewatch: Lanewatch, terminal: Terminal, server: Server
) -> None:
    run = lanewatch.launch("--name=far", iterations=100_000, save_interval=50_000)
    until(lambda: trained(run) >= 2, "two iterations")
    line = Line(server.port, 0.15, bytes_per_s=10_000)  # a naive dashboard writes 48 kB/s
    terminal.command(called(server, "far", "far", port=line.port))
    terminal.shows("training", "heartbeat")
    terminal.type("2")  # four graphs in motion
    terminal.shows("gradient")
    for _ in range(2):  # the training goes on, and the line is not behind it
        done = trained(run)
        until(lambda done=done: trained(run) > done + 2, "training goes on")
        until(lambda: line.waiting == 0, "all that was drawn has arrived")
    terminal.type(*"1212121")
    terminal.shows("heartbeat")
    for columns, lines in ((50, 18), (150, 50), (120, 40)):
        terminal.resize(columns, lines)
    terminal.type("?")
    terminal.shows("everywhere")
    terminal.escape()
    terminal.shows("training", "esc board")
    terminal.type("q")
    terminal.shows("goes on")
    line.close()
    lanewatch("kill", "far")
    lanewatch("wait", "far", code=1)


def _ancestor(pid: int, name: bytes) -> int:
    """The nearest process above *pid* whose name begins with *name*."""
    while pid > 1:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        start, _, rest = stat.rpartition(b") ")
        if start.partition(b"(")[2].startswith(name):
            return pid
        pid = int(rest.split()[1])
    raise AssertionError(f"nothing called {name!r} above the screen")
