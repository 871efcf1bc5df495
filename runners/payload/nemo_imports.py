"""The base as Megatron reads it, made once and shared by every run of this machine.

The rule: a folder under its final name is whole and says in import.json what it was made from;
whoever comes while another makes it waits and uses the same one.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .alone import shared_folder
from .causes import StageError
from .files import encode, read_object, replace

IMPORTS = "imports"
"""In the cache: one folder an import, `nemo-<hash>`."""
MARKER = "import.json"
"""In an import: what it was made from. In the work folder of a run: which import is the run's."""
FORMAT = 1
"""Raise it when the same inputs are to give another import."""

_CHUNK = 8 << 20
_BLOB = re.compile(r"[0-9a-f]{64}")


def installed(*names: str) -> str | None:
    """The version of the first of *names* that this Python has, by its distribution's metadata."""
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return None


def bridge_versions() -> dict[str, str]:
    """The versions that are here, not those that an image's tag promises. Raises StageError."""
    found = {name: installed(name) for name in ("megatron-bridge", "megatron-core")}
    for name, version in found.items():
        if version is None:
            raise StageError(
                f"{name} is not installed in this Python: the nemo lane runs in NVIDIA's NeMo "
                "container, or where `pip install '.[nemo]'` was done in a checkout of lanewatch"
            )
    return {name: str(version) for name, version in found.items()}


def layer_kind() -> str:
    """Return "te" with Transformer Engine, else "local": their parameters differ in name."""
    return "te" if importlib.util.find_spec("transformer_engine") is not None else "local"


def base_hash(base: Path, on_bytes: Callable[[int, int], None]) -> str:
    """SHA-256 over config.json and the weights in *base*; *on_bytes* gets (bytes done, of all).

    A file of the Hugging Face cache is named by its own SHA-256, which need not be computed again.
    Raises StageError.
    """
    files = [base / "config.json", *sorted(base.glob("*.safetensors"))]
    try:
        total = sum(path.stat().st_size for path in files)
        digest, done = hashlib.sha256(), 0
        for path in files:
            digest.update(path.name.encode() + b"\0" + _content_hash(path).encode() + b"\0")
            done += path.stat().st_size
            on_bytes(done, total)
    except OSError as error:
        raise StageError(
            f"the base model cannot be read: {error.filename}: {error.strerror}"
        ) from error
    return digest.hexdigest()


def _content_hash(path: Path) -> str:
    if path.is_symlink():
        name = os.path.basename(os.readlink(path))  # noqa: PTH115, PTH119 - a name, not a path
        if _BLOB.fullmatch(name):
            return name
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def import_key(base: str, yarn: Mapping[str, Any], precision: str) -> dict[str, Any]:
    """All that an import depends on; *base* is its hash, *precision* that of its weights."""
    return {
        "format": FORMAT,
        "base": base,
        "versions": bridge_versions(),
        "layers": layer_kind(),
        "yarn": dict(yarn),
        "precision": precision,
    }


def import_folder(cache: Path, key: Mapping[str, Any]) -> Path:
    """Where the import of *key* lies, there or not."""
    return shared_folder(cache / IMPORTS, "nemo", key)


def is_whole(folder: Path, key: Mapping[str, Any]) -> bool:
    """Tell whether *folder* holds the finished import of *key*, every file with its size."""
    marker = read_object(folder / MARKER) or {}
    files = marker.get("files")
    if marker.get("key") != key or not isinstance(files, dict) or not files:
        return False
    return all(_size(folder / name) == size for name, size in files.items())


def mark_whole(folder: Path, key: Mapping[str, Any], base: Path) -> None:
    """Write the marker, the last file of an import that is about to be put in place."""
    files = {
        str(path.relative_to(folder)): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    content = {"schema": 1, "key": dict(key), "source": str(base), "files": files}
    replace(folder / MARKER, encode(content), durable=True)


def name_import(work: Path, folder: Path, key: Mapping[str, Any]) -> None:
    """Write work/import.json: which import the later stages of the run use. Raises OSError."""
    content = {"schema": 1, "folder": str(folder), "key": dict(key)}
    replace(work / MARKER, encode(content), durable=True)


def named_import(work: Path) -> Path:
    """The import of the run, whole. Raises StageError that says which stage to run again."""
    value = read_object(work / MARKER)
    if value is None:
        raise StageError(f"{work / MARKER} is missing: the import stage has to run first")
    folder = Path(str(value.get("folder")))
    if not is_whole(folder, value.get("key") or {}):
        raise StageError(f"the imported base {folder} is gone or not whole: resume runs it again")
    return folder


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
