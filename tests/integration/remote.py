"""A machine reached over SSH, for tests and measurements: an sshd of our own, and a slow line.

The rule: nothing of the user's own SSH configuration is read or written.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import queue
import shlex
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PATIENCE_S = 120.0
LOOPBACK = "127.0.0.1"


class Server:
    """An sshd on a loopback port, for this user and one key."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self._folder, self.port = folder, _free_port()
        for name in ("host", "user"):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
        config = folder / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress {LOOPBACK}\nHostKey {folder}/host\n"
            f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\nPidFile none\n"
            "PasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists on it
        sshd = shutil.which("sshd") or "/usr/sbin/sshd"
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self._daemon = subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        while not self._listens():
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"sshd does not listen: {self.log.read_text()}")
            time.sleep(0.05)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, self.port)) == 0

    def argv(
        self, words: Sequence[str], env: Mapping[str, str], *, port: int | None = None
    ) -> list[str]:
        """What one calls to have *words* run there, with *env*, on a terminal.

        *port* is that of a `Line` to it.
        """
        there = shlex.join(["env", *(f"{key}={value}" for key, value in env.items()), *words])
        options = ["StrictHostKeyChecking=no", "LogLevel=ERROR", "IdentitiesOnly=yes"]
        options += [f"UserKnownHostsFile={self._folder}/known", "IdentityAgent=none"]
        ssh = ["ssh", "-F", "none", "-tt", "-p", str(port or self.port)]
        ssh += ["-i", f"{self._folder}/user", *(word for each in options for word in ("-o", each))]
        return [*ssh, f"{getpass.getuser()}@{LOOPBACK}", there]

    def close(self) -> None:
        """End the server; connections that are open stay."""
        self._daemon.terminate()
        self._daemon.wait(30)


class Line:
    """A way to a port of this machine on which everything arrives *one_way_s* later.

    Like a connection over such a network, it is there after a round trip and the client's next
    packet: nothing arrives sooner. *bytes_per_s* is what it carries towards the client.
    """

    def __init__(self, port: int, one_way_s: float, bytes_per_s: float | None = None) -> None:
        self._to, self._one_way_s, self._bytes_per_s = port, one_way_s, bytes_per_s
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._ways: list[_Way] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def waiting(self) -> int:
        """Bytes on their way to the clients."""
        return sum(way.waiting for way in self._ways)

    def close(self) -> None:
        """Let nobody in any more; connections that are open stay."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        # Over a network the client's first packet is sent after a round trip, here at once.
        there_s = time.monotonic() + 3 * self._one_way_s
        time.sleep(3 * self._one_way_s)
        server = socket.create_connection((LOOPBACK, self._to))
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _Way(client, server, self._one_way_s, first_s=there_s).start()
        back = _Way(server, client, self._one_way_s, bytes_per_s=self._bytes_per_s)
        self._ways.append(back)
        back.start()


class _Way:
    """One direction of a connection."""

    def __init__(
        self,
        source: socket.socket,
        sink: socket.socket,
        delay_s: float,
        *,
        first_s: float | None = None,
        bytes_per_s: float | None = None,
    ) -> None:
        """*first_s* is when the first packet arrives."""
        self._source, self._sink = source, sink
        self._delay_s, self._first_s, self._bytes_per_s = delay_s, first_s, bytes_per_s
        self._queue: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        self.waiting = 0

    def start(self) -> None:
        for target in (self._read, self._write):
            threading.Thread(target=target, daemon=True).start()

    def _read(self) -> None:
        data = b"-"
        while data:
            try:
                data = self._source.recv(65536)
            except OSError:
                data = b""
            self.waiting += len(data)
            due_s, self._first_s = self._first_s or time.monotonic() + self._delay_s, None
            self._queue.put((due_s, data))

    def _write(self) -> None:
        while True:
            due_s, data = self._queue.get()
            time.sleep(max(0.0, due_s - time.monotonic()))
            if not data:
                with contextlib.suppress(OSError):
                    self._sink.shutdown(socket.SHUT_WR)
                return
            try:
                self._sink.sendall(data)
            except OSError:
                return
            if self._bytes_per_s:
                time.sleep(len(data) / self._bytes_per_s)
            self.waiting -= len(data)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
