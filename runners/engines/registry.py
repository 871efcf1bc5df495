"""Ask an image's registry what it would send: the layers and their sizes, before any is loaded.

The rule: nothing depends on it. A registry that does not say is no reason not to pull.
"""

from __future__ import annotations

import base64
import http.client
import json
import platform
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runners.engines.docker_errors import registry_of
from runners.errors import EngineError

ANSWER_S = 20
LIMIT_BYTES = 4 << 20
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSize:
    """What a pull would load, compressed."""

    layers: Mapping[str, int]
    """Bytes by the short form of the digest, as the engine's events call a layer."""

    @property
    def bytes(self) -> int:
        """Of all layers; those that are here already are not taken off."""
        return sum(self.layers.values())


def image_size(image: str, credentials: Mapping[str, Any] | None = None) -> ImageSize:
    """What the registry says of *image*. Raises EngineError that says why it does not.

    *credentials* are username and password, as `docker login` has kept them.
    """
    registry = registry_of(image)
    try:
        manifest = _manifest(image, registry, credentials or {})
        layers = manifest["layers"]
        return ImageSize(
            layers={
                str(each["digest"]).partition(":")[2][:12]: int(each["size"]) for each in layers
            }
        )
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
        raise EngineError(
            f"the registry {registry} does not say what {image} is: {error}"
        ) from error


def stored_credentials(image: str) -> dict[str, Any]:
    """What `docker login` has kept for the image's registry; nothing where nobody logged in."""
    import docker.auth
    import docker.errors

    try:
        found = docker.auth.load_config().resolve_authconfig(registry_of(image))
    except (docker.errors.DockerException, OSError, ValueError):
        return {}
    return {key.lower(): value for key, value in (found or {}).items() if value}


def split_name(image: str) -> tuple[str, str]:
    """(repository with its registry, tag or digest) of an image's name; a digest says it alone."""
    repository, _, digest = image.partition("@")
    head, colon, tag = repository.rpartition(":")
    if not colon or "/" in tag:
        head, tag = repository, "latest"
    return head, digest or tag


def _manifest(image: str, registry: str, credentials: Mapping[str, Any]) -> Any:
    repository, reference = split_name(image)
    name = repository.removeprefix(f"{registry}/")
    if registry == "docker.io":
        registry, name = "registry-1.docker.io", name if "/" in name else f"library/{name}"
    scheme = "http" if registry.rpartition(":")[0] in LOOPBACK else "https"
    base = f"{scheme}://{registry}/v2/{name}/manifests"
    asker = _Asker(credentials)
    found = asker.get(f"{base}/{urllib.parse.quote(reference, safe=':')}")
    if "manifests" in found:
        machine = MACHINES.get(platform.machine(), platform.machine())
        ours = [each for each in found["manifests"] if _fits(each, machine)]
        found = asker.get(f"{base}/{ours[0]['digest']}") if ours else {}
    return found


def _fits(manifest: Mapping[str, Any], machine: str) -> bool:
    where = manifest.get("platform") or {}
    return where.get("os") == "linux" and where.get("architecture") == machine


class _Asker:
    """GETs JSON; answers a registry's challenge once, as the distribution protocol says."""

    def __init__(self, credentials: Mapping[str, Any]) -> None:
        user, password = credentials.get("username"), credentials.get("password")
        self._basic = None
        if user and password:
            self._basic = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self._header: str | None = None

    def get(self, url: str) -> Any:
        try:
            return self._load(url, self._header)
        except urllib.error.HTTPError as error:
            challenge = error.headers.get("WWW-Authenticate", "")
            if error.code != 401 or self._header is not None:
                raise
        self._header = self._answer(challenge)
        return self._load(url, self._header)

    def _answer(self, challenge: str) -> str | None:
        if not challenge.lower().startswith("bearer"):
            return self._basic
        said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        query = urllib.parse.urlencode(
            {key: said[key] for key in ("service", "scope") if key in said}
        )
        token = self._load(f"{said['realm']}?{query}", self._basic)
        return f"Bearer {token.get('token') or token['access_token']}"

    def _load(self, url: str, authorization: str | None) -> Any:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"no address of a registry: {url}")
        request = urllib.request.Request(url, headers={"Accept": ", ".join(KINDS)})  # noqa: S310 - http alone, see above
        if authorization:
            # Not "headers": it must not follow a redirect to where the blobs lie.
            request.add_unredirected_header("Authorization", authorization)
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310 - as above
            return json.loads(answer.read(LIMIT_BYTES))
