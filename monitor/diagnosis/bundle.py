"""One file about a run for somebody else to look at: what it said, what was seen, what was found.

The rule: everything in it went through `redact`; it never replaces a file, and a bundle that could
not be finished is not left behind.
"""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import importlib.metadata
import io
import json
import os
import platform
import socket
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monitor.diagnosis.record import Diagnosis
from monitor.diagnosis.redact import Redactor, redactor
from monitor.errors import MonitorError
from monitor.events import read_events
from monitor.files import read_json, read_json_lines
from monitor.model import Stage
from monitor.probes.log import tail
from monitor.rundir import RunDir, expanded
from monitor.store import read_samples
from monitor.target import read_target

EVENTS = 500
SAMPLES = 600
"""Ten minutes at one a second."""
METRICS_BYTES = 64 << 10
LOG_BYTES = 512 << 10
LOG_LINES = 2000
_PACKAGES = ("lanewatch", "py-spy", "nvidia-ml-py", "watchdog", "textual", "torch", "transformers")
_ABOUT = """lanewatch {version}: a diagnosis of run {run}

{sentence}
cause: {cause}, {confidence}

Secrets, URLs, mail addresses, home folders and the names of user and machine were taken out; look
through the files before you give them away all the same.
"""


class BundleError(MonitorError):
    """No bundle was written."""


def check_place(path: Path) -> None:
    """Raises BundleError where no bundle can be written to *path*, before anybody waits for it."""
    folder = path.parent
    if os.path.lexists(path):
        raise BundleError(f"{path} is there already: name another file for the bundle")
    if not folder.is_dir():
        raise BundleError(f"{path} cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BundleError(f"{path} cannot be written: this user may not write into {folder}")


def write_bundle(run: RunDir, found: Diagnosis, path: Path) -> int:
    """Write the bundle of *run* to *path* and return its size in bytes.

    Raises BundleError where *path* is there already or cannot be written; nothing is left then.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise BundleError(f"{path} is there already: name another file for the bundle") from None
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {error.strerror or error}") from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            _fill(stream, run, found)
    except (OSError, tarfile.TarError) as error:
        path.unlink(missing_ok=True)
        why = getattr(error, "strerror", None) or error
        raise BundleError(f"{path} cannot be written: {why}; it was removed again") from None
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path.stat().st_size


def _fill(stream: Any, run: RunDir, found: Diagnosis) -> None:
    folder = f"lanewatch-{run.root.name}"
    redact = _of_this_machine(run)
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in _members(run, found, redact):
            entry = tarfile.TarInfo(redact.text(f"{folder}/{name}"))
            entry.size, entry.mtime, entry.mode = len(content), int(time.time()), 0o600
            archive.addfile(entry, io.BytesIO(content))


def _members(run: RunDir, found: Diagnosis, redact: Redactor) -> Iterator[tuple[str, bytes]]:
    said = found.conclusion
    about = _ABOUT.format(
        version=importlib.metadata.version("lanewatch"),
        run=run.root.name,
        sentence=said.sentence,
        cause=said.cause,
        confidence=said.confidence,
    )
    yield "README.txt", redact.text(about).encode()
    yield "diagnosis.json", _json(redact, found.to_json())
    yield "versions.json", _json(redact, _versions(run))
    for path in (run.run_json, run.state, run.watch, run.heartbeat, run.result, run.summary):
        read = read_json(path)
        if read.value is not None or read.problem is not None:
            yield path.name, _json(redact, read.value or {"problem": read.problem})
    events = [each.to_json() for each in read_events(run.events, EVENTS)]
    yield "events.jsonl", _json_lines(redact, events)
    yield "metrics.jsonl", _json_lines(redact, _metrics(run))
    samples = read_samples(run.telemetry, limit=SAMPLES).value or ()
    yield "samples.jsonl", _json_lines(redact, [dataclasses.asdict(each) for each in samples])
    for name, log in _logs(run):
        lines = tail(log, LOG_BYTES, LOG_LINES)
        if lines:
            # As one text: a private key is many lines.
            yield f"logs/{name}.log", redact.text("\n".join(lines) + "\n").encode()


def _logs(run: RunDir) -> Iterator[tuple[str, Path]]:
    target = read_target(run.root)
    if target.foreign and target.log is not None:
        yield "train", target.log
    elif not target.foreign:
        yield from ((str(stage), run.log(stage)) for stage in Stage)
    yield from ((each.stem, each) for each in sorted(run.logs.glob("*er.log")))


def _metrics(run: RunDir) -> list[dict[str, Any]]:
    try:
        return read_json_lines(run.metrics, tail_bytes=METRICS_BYTES)
    except OSError:
        return []


def _versions(run: RunDir) -> dict[str, Any]:
    there: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            there[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "made_with": (read_json(run.run_json).value or {}).get("versions"),
        "packages": there,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
    }


def _of_this_machine(run: RunDir) -> Redactor:
    names = [socket.gethostname()]
    with contextlib.suppress(OSError, KeyError):  # a uid without a name
        names.append(getpass.getuser())
    homes = [str(run.root.parent)]
    with contextlib.suppress(MonitorError):  # a uid without a home
        homes.append(str(expanded("~")))
    return redactor(os.environ, homes, names)


def _json(redact: Redactor, value: Any) -> bytes:
    return json.dumps(redact.json(value), indent=1).encode() + b"\n"


def _json_lines(redact: Redactor, values: list[dict[str, Any]]) -> bytes:
    lines = (json.dumps(redact.json(each), separators=(",", ":")) for each in values)
    return "".join(f"{line}\n" for line in lines).encode()
