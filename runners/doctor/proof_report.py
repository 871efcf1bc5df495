"""The report of a proof, as it may be shown to anyone: no secret, no home, no host, no user.

Pure but for `write_report`. What is replaced is found by the machine's own names, not guessed.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import re
import socket
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.files import write_json
from monitor.rundir import SCHEMA, cache_root, runs_root
from runners.doctor.prove import Proof
from runners.launch import versions

SECRET = re.compile(
    r"(hf_[A-Za-z0-9]{8,}|nvapi-[\w-]{8,}|sk-[\w-]{8,}|gh[pousr]_\w{8,}"
    r"|(?i:token|password|secret|api_?key|authorization)[\"']?\s*[=:]\s*\S+"
    r"|[a-z][a-z0-9+.-]*://[^\s/@]+:[^\s/@]+@\S+)"
)
LEAST_NAME = 3
"""A shorter name of a user or a host would be found inside other words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What is not to be seen, and what stands for it; longest first."""

    replaced: tuple[tuple[str, str], ...]


def names_here() -> Names:
    """This machine's own."""
    host = socket.gethostname()
    found = {
        str(runs_root()): "<runs>",
        str(cache_root()): "<cache>",
        tempfile.gettempdir(): "<tmp>",
        str(Path.home()): "~",
        socket.getfqdn(): "<host>",
        host: "<host>",
        host.partition(".")[0]: "<host>",
    }
    with contextlib.suppress(KeyError, OSError):
        found[getpass.getuser()] = "<user>"
    long = [(name, word) for name, word in found.items() if len(name) >= LEAST_NAME]
    return Names(replaced=tuple(sorted(long, key=lambda each: -len(each[0]))))


def redacted(value: Any, names: Names) -> Any:
    """*value* (of JSON) with every text in it redacted, keys as well."""
    if isinstance(value, str):
        return redacted_text(value, names)
    if isinstance(value, Mapping):
        return {
            redacted_text(str(key), names): redacted(each, names) for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted(each, names) for each in value]
    return value


def redacted_text(text: str, names: Names) -> str:
    """*text* without secrets, and without the machine's names where they stand as words."""
    text = SECRET.sub("<secret>", text)
    for name, word in names.replaced:
        pattern = rf"(?<![A-Za-z0-9_-]){re.escape(name)}(?![A-Za-z0-9_-])"
        text = re.sub(pattern, word, text)
    return text


def report(proof: Proof, names: Names, checks: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole report; *checks* are the doctor's, as JSON."""
    content = {
        "schema": SCHEMA,
        "ok": proof.ok,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "lane": proof.lane,
        "engine": proof.engine,
        "image": proof.image,
        "seconds": round(proof.seconds, 1),
        "pull_seconds": round(proof.pull_s, 1),
        "overlong": proof.overlong,
        "steps": [each.to_json() for each in proof.steps],
        "gpus": list(proof.gpus),
        "machine": versions() | {"system": platform.system(), "cores": os.cpu_count()},
        "trainer": proof.versions,
        "checks": checks,
    }
    cleaned: dict[str, Any] = redacted(content, names)
    return cleaned


def report_path(lane: str, engine: str) -> Path:
    """Where it goes unless somebody names a file."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return cache_root() / "proofs" / f"{lane}-{engine}-{stamp}.json"


def write_report(path: Path, content: dict[str, Any]) -> None:
    """Write it. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(path, content, durable=False)
