"""A hub and a registry on loopback that can be slow, break off, refuse, or be away.

They speak as much of the real protocols as the real clients ask of them: huggingface_hub, dockerd.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK = 64 << 10


@dataclass
class Trouble:
    """What goes wrong, as a test sets it while the server runs."""

    pace: float | None = None
    """Bytes a second of a large answer; None: at once."""
    break_off: int = 0
    """So many large answers end in the middle of their bytes."""
    answer: int | None = None
    """Every request gets this status instead."""
    wait_s: float = 0.0
    """So long every request waits for its answer."""
    asked: list[str] = field(default_factory=list)
    """Method, path and range of each request."""


class Server(ThreadingHTTPServer):
    """One server on a free port of loopback."""

    daemon_threads = True

    def __init__(self, handler: type[_Handler], port: int = 0) -> None:
        self.trouble = Trouble()
        super().__init__(("127.0.0.1", port), handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients go away in the middle: that is what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    unknown = b"{}"
    server: Server

    def log_message(self, *arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._serve(with_body=False)

    def do_GET(self) -> None:
        self._serve(with_body=True)

    def _serve(self, *, with_body: bool) -> None:
        trouble = self.server.trouble
        trouble.asked.append(
            f"{self.command} {self.path} {self.headers.get('Range') or ''}".strip()
        )
        time.sleep(trouble.wait_s)
        if trouble.answer is not None:
            self._send(trouble.answer, b"{}", self.refusal(trouble.answer), with_body)
            return
        found = self.find()
        if found is None:
            self._send(404, self.unknown, self.refusal(404), with_body)
            return
        body, headers = found
        start = self._start()
        if start:
            headers = headers | {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
        self._send(206 if start else 200, body[start:], headers, with_body)

    def _start(self) -> int:
        words = (self.headers.get("Range") or "").removeprefix("bytes=").partition("-")[0]
        return int(words) if words.isdigit() else 0

    def find(self) -> tuple[bytes, dict[str, str]] | None:
        raise NotImplementedError

    def refusal(self, code: int) -> dict[str, str]:
        return {}

    def _send(self, code: int, body: bytes, headers: dict[str, str], with_body: bool) -> None:
        self.send_response(code)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self._write(body)

    def _write(self, body: bytes) -> None:
        trouble = self.server.trouble
        large = len(body) > CHUNK
        end = len(body)
        if large and trouble.break_off:
            trouble.break_off -= 1
            end //= 2
        for start in range(0, end, CHUNK):
            self.wfile.write(body[start : min(end, start + CHUNK)])
            if large and trouble.pace:
                time.sleep(CHUNK / trouble.pace)
        if end < len(body):
            self.close_connection = True


class Hub(Server):
    """Hugging Face's hub with some models; the large files are of its LFS."""

    def __init__(self) -> None:
        self.models: dict[str, dict[str, bytes]] = {}
        super().__init__(_HubHandler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def blob(self, content: bytes) -> str:
        """What the cache calls a file's content."""
        if len(content) > CHUNK:
            return hashlib.sha256(content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


REVISION = "c" * 40


class _HubHandler(_Handler):
    server: Hub

    def find(self) -> tuple[bytes, dict[str, str]] | None:
        path = self.path.partition("?")[0].lstrip("/")
        if path.startswith("api/models/"):
            name = "/".join(path.split("/")[2:4])
            files = self.server.models.get(name)
            return None if files is None else (json.dumps(self._info(name, files)).encode(), {})
        name, resolve, rest = path.partition("/resolve/")
        content = self.server.models.get(name, {}).get(rest.partition("/")[2])
        if not resolve or content is None:
            return None
        headers = {"ETag": f'"{self.server.blob(content)}"', "X-Repo-Commit": REVISION}
        return content, headers | {"Accept-Ranges": "bytes"}

    def _info(self, name: str, files: dict[str, bytes]) -> dict[str, object]:
        siblings = [
            {"rfilename": file, "size": len(content), "blobId": self.server.blob(content)}
            | (
                {
                    "lfs": {
                        "sha256": self.server.blob(content),
                        "size": len(content),
                        "pointerSize": 1,
                    }
                }
                if len(content) > CHUNK
                else {}
            )
            for file, content in files.items()
        ]
        return {"id": name, "modelId": name, "sha": REVISION, "siblings": siblings, "tags": []}

    def refusal(self, code: int) -> dict[str, str]:
        gated = {"X-Error-Code": "GatedRepo", "X-Error-Message": "ask first"}
        return gated if code == 403 else {"X-Error-Code": "RepoNotFound"} if code == 404 else {}


class Registry(Server):
    """A registry that holds one image of some layers of noise."""

    def __init__(self, layers: list[bytes], port: int = 0) -> None:
        self.blobs: dict[str, bytes] = {}
        tars = [_tar(f"noise-{number}", content) for number, content in enumerate(layers)]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [_digest(each) for each in tars]},
        }
        packed = [gzip.compress(each, 1, mtime=0) for each in tars]
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._keep(json.dumps(config).encode(), "container.image.v1+json"),
            "layers": [self._keep(each, "image.rootfs.diff.tar.gzip") for each in packed],
        }
        self.manifest = json.dumps(manifest).encode()
        self.bytes = sum(map(len, packed))
        super().__init__(_RegistryHandler, port)

    @property
    def image(self) -> str:
        return f"127.0.0.1:{self.port}/lw/noise:1"

    def _keep(self, content: bytes, kind: str) -> dict[str, object]:
        self.blobs[_digest(content)] = content
        media = f"application/vnd.docker.{kind}"
        return {"mediaType": media, "size": len(content), "digest": _digest(content)}


_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class _RegistryHandler(_Handler):
    server: Registry
    unknown = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'

    def find(self) -> tuple[bytes, dict[str, str]] | None:
        if self.path == "/v2/":
            return b"{}", {"Docker-Distribution-Api-Version": "registry/2.0"}
        if not self.path.startswith("/v2/lw/noise/"):
            return None
        _, kind, reference = self.path.rpartition("/manifests/")
        digest = _digest(self.server.manifest)
        if kind and reference in ("1", digest):
            return self.server.manifest, {
                "Content-Type": _MANIFEST,
                "Docker-Content-Digest": digest,
            }
        blob = self.server.blobs.get(self.path.rpartition("/blobs/")[2])
        return None if blob is None else (blob, {"Content-Type": "application/octet-stream"})

    def refusal(self, code: int) -> dict[str, str]:
        return {"WWW-Authenticate": 'Basic realm="test"'} if code == 401 else {}


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Serve until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _tar(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
