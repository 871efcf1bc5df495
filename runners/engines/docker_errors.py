"""What the Docker engine's refusals mean, one sentence each, with what to do about it."""

from __future__ import annotations

import re

from monitor.probes.text import clean_line
from runners.errors import EngineError

TEXT_LIMIT = 600


class EngineSilentError(EngineError):
    """The engine does not answer at the moment: nothing is known of any container."""


NO_GPU = (
    "the Docker engine has no GPU runtime: install nvidia-container-toolkit, run `sudo nvidia-ctk "
    "runtime configure --runtime=docker` and restart Docker"
)

_PREFACE = "Error while fetching server API version: "

_TAKEN = (
    "a container that is not of this run is called {what}: `docker rename` gives it another name, "
    "`docker rm {what}` removes it if nobody needs it"
)

_NO_NAME = (
    r"invalid reference format",
    "that is no name of an image (docker.image): write it in lower case, as "
    "registry/owner/name:tag",
)
_KNOWN = (
    _NO_NAME,
    (
        r"could not select device driver|Unknown runtime specified|unknown or invalid runtime",
        NO_GPU,
    ),
    (
        r"no space left on device",
        "the disk that holds Docker's data is full: `docker system df` shows by what, "
        "`docker image prune` frees some",
    ),
    (
        r"disk quota exceeded",
        "Docker's data is over its disk quota: free some, `docker system df` shows by what",
    ),
    (
        r'exec: "docker-init"|"/sbin/docker-init"',
        "the Docker engine lacks docker-init, a program of its own: install it with the engine "
        "(Debian: `sudo apt install tini`)",
    ),
    (
        r'exec: "(?P<what>[^"]+)".*(?:not found|no such file)',
        "its image has no {what}: is it an image with a trainer in it?",
    ),
    (
        r"bind source path does not exist: (?P<what>.+)",
        "{what} is not there, and the stage needs it",
    ),
    (
        r'container name "/?(?P<what>[^"]+)" is already in use',
        _TAKEN,
    ),
    (r"client version \S+ is too (?:new|old).*", "this Docker engine is of another age: {all}"),
    (
        r"must be a cgroup|cgroup.*(?:permission denied|read-only)",
        "the Docker engine cannot make control groups here: {all}",
    ),
)
_REGISTRY = (
    (
        r"unauthorized|denied|authentication required|no basic auth|forbidden|invalid username"
        r"|payment required",
        "the registry {registry} refuses: `docker login {registry}` as the user who launches{ngc}, "
        "or the name is wrong",
    ),
    (
        r"manifest unknown|HTTP 404|not found|no such image|does not exist|name unknown",
        "the registry {registry} has no image {image}: is name and tag right?",
    ),
    (
        r"no matching manifest",
        "the registry {registry} has no {image} for this machine's architecture",
    ),
)
NGC = "nvcr.io"
NGC_LOGIN = " (user $oauthtoken, password an NGC API key)"


def no_answer(words: str) -> str:
    """Say that what stands at the engine's address gives no answer of an engine, in one line."""
    said = clean_line(" ".join(words.removeprefix(_PREFACE).split()), TEXT_LIMIT)
    return (
        f"the Docker engine does not answer as one should ({said.replace(': ', ', ')}): "
        "`systemctl status docker` may say why; is DOCKER_HOST right?"
    )


def in_words(text: str, image: str | None = None) -> str:
    """What a refusal means, by the engine's own words; those where it is not a known one."""
    text = clean_line(" ".join(text.split()), TEXT_LIMIT)
    if image and re.search(r"no such image", text, re.IGNORECASE):
        return image_missing(image)
    for pattern, meaning in _KNOWN:
        if found := re.search(pattern, text, re.IGNORECASE):
            return meaning.format(what=found.groupdict().get("what") or "", all=text)
    return f"the Docker engine says: {text}"


def image_missing(image: str) -> str:
    """The sentence for an image that nobody pulls; by its id it was here when the run began."""
    if image.startswith("sha256:"):
        return (
            f"the run's image {image[:19]} was removed from this machine since the run began: "
            '`lanewatch resume` gets it again, where docker.pull is "missing" and a registry has it'
        )
    return (
        f'image {image} is not on this machine: `docker pull {image}`, or docker.pull = "missing"'
    )


def name_taken(name: str) -> str:
    """The sentence for a name that somebody else's container goes by."""
    return _TAKEN.format(what=name)


def pull_in_words(text: str, image: str) -> str | None:
    """Why a pull can never succeed; None where trying again may help."""
    text = clean_line(" ".join(text.split()), TEXT_LIMIT)
    registry = registry_of(image)
    login = NGC_LOGIN if registry == NGC else ""
    for pattern, meaning in (_NO_NAME, *_REGISTRY, *_KNOWN):
        if re.search(pattern, text, re.IGNORECASE):
            said = meaning.format(registry=registry, image=image, ngc=login, what="", all=text)
            return f"{said} ({text})" if meaning in dict(_REGISTRY).values() else said
    return None


def registry_of(image: str) -> str:
    """The host of an image's registry; docker.io where the name has none."""
    first, slash, _ = image.partition("/")
    return (
        first if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"
    )
