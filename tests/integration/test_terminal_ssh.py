"""Over SSH: a run launched from the form outlives its connection, and is found again."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CLI, Lanewatch, state, trained, until
from terminals import Terminal
from test_terminal_launch import remember, the_run

from monitor.probes.process import find_by_environment

MARK = "LANEWATCH_TEST_CONNECTION"


class Server:
    """An sshd of our own on a loopback port, for this user and one key."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self._folder, self.port = folder, _free_port()
        for name in ("host", "user"):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
        config = folder / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\n"
            f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\nPidFile none\n"
            "PasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists on it
        sshd = shutil.which("sshd") or "/usr/sbin/sshd"
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self._daemon = subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stderr=log)
        until(self._listens, "sshd listens")

    def _listens(self) -> bool:
        assert self._daemon.poll() is None, self.log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def command(self, connection: str, *words: str) -> str:
        """What one types to see lanewatch over SSH; the processes there carry *connection*."""
        there = {
            key: value
            for key, value in os.environ.items()
            if key.startswith(("LANEWATCH_", "XDG_")) or key in ("PYTHONPATH", "LANG", "PATH")
        }
        there[MARK] = connection
        assigned = [f"{key}={value}" for key, value in there.items()]
        line = shlex.join(["env", "LC_ALL=C.UTF-8", *assigned, *CLI, *words])
        options = [f"{each}" for each in ("StrictHostKeyChecking=no", "LogLevel=ERROR")]
        options += [f"UserKnownHostsFile={self._folder}/known", "IdentitiesOnly=yes"]
        ssh = ["ssh", "-tt", "-p", str(self.port), "-i", f"{self._folder}/user"]
        ssh += [word for each in options for word in ("-o", each)]
        return shlex.join([*ssh, f"{getpass.getuser()}@127.0.0.1", line])

    def close(self) -> None:
        self._daemon.terminate()
        self._daemon.wait(30)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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
    terminal.command(server.command("first"))
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
        again.command(server.command("second", run.root.name))
        again.shows("training", "heartbeat")
        again.type("q")
        again.shows("goes on")
    finally:
        again.close()
    lanewatch("kill", run.root.name)
    lanewatch("wait", run.root.name, code=1)


def _ancestor(pid: int, name: bytes) -> int:
    """The nearest process above *pid* whose name begins with *name*."""
    while pid > 1:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        start, _, rest = stat.rpartition(b") ")
        if start.partition(b"(")[2].startswith(name):
            return pid
        pid = int(rest.split()[1])
    raise AssertionError(f"nothing called {name!r} above the screen")
