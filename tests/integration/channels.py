"""HTTP servers on 127.0.0.1 that tests alert to: they take, refuse, hang, or are gone."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from monitor.alert_channels import Channel, channels_path, write_channels


class Receiver:
    """Keeps every request; `answer` decides the status code, None hangs until `close`."""

    def __init__(self, answer: Callable[[int], int | None] = lambda _: 200) -> None:
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.answer = answer
        self._closing = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                value = json.loads(body) if body.startswith(b"{") else {}
                receiver.requests.append((self.command, self.path, value))
                code = receiver.answer(len(receiver.requests))
                if code is None:
                    receiver._closing.wait(120)
                    return
                self.send_response(code)
                self.end_headers()

            do_POST = do_GET
            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def titles(self) -> list[str]:
        """Of the messages that apprise posted."""
        return [value["title"] for _, _, value in self.requests if "title" in value]

    @property
    def bodies(self) -> list[str]:
        return [value["message"] for _, _, value in self.requests if "message" in value]

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _ in self.requests]

    @property
    def url(self) -> str:
        """For apprise, with a password that must never be seen again."""
        return f"json://user:sesame-secret@127.0.0.1:{self.port}/alert"

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()


def nobody_listens() -> str:
    """A channel whose port refuses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"json://user:sesame-secret@127.0.0.1:{probe.getsockname()[1]}/alert"


def receiving() -> Iterator[Callable[..., Receiver]]:
    """What a fixture yields: makes receivers; all are closed afterwards."""
    made: list[Receiver] = []

    def make(answer: Callable[[int], int | None] = lambda _: 200) -> Receiver:
        made.append(Receiver(answer))
        return made[-1]

    yield make
    for each in made:
        each.close()


def configure(**urls: str) -> Path:
    """Write alerts.toml where the test's XDG_CONFIG_HOME says."""
    write_channels(channels_path(), tuple(Channel(name, url) for name, url in urls.items()))
    return channels_path()
