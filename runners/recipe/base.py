"""Find the base model of a recipe on this machine. Never downloads: it says how to."""

from __future__ import annotations

import os
from pathlib import Path

from runners.errors import RunnerError
from runners.recipe.model import TINY_MODEL, Recipe

NEEDED = ("config.json", "tokenizer.json")
"""Without these two neither `prepare` nor a trainer can use a model folder."""


class BaseModelError(RunnerError):
    """The base model is not on this machine, or not whole."""


def resolve_base(recipe: Recipe, cache_root: Path | None = None) -> Path | None:
    """Return the folder of the recipe's base model; None for the tiny one, which `fetch` makes.

    A name of the hub is looked up in *cache_root*, or by default where the Hugging Face tools keep
    their cache; the newest whole snapshot is taken. Raises BaseModelError.
    """
    name = recipe.model.path
    if name == TINY_MODEL:
        return None
    if Path(name).is_absolute():
        return _local(Path(name))
    hub = cache_root or hub_cache()
    snapshots = hub / f"models--{name.replace('/', '--')}" / "snapshots"
    whole = [folder for folder in _folders(snapshots) if not missing(folder)]
    if not whole:
        raise BaseModelError(
            f"model.path: {name} is not in the Hugging Face cache {hub}; "
            f"run `hf download {name}` first, or name a local folder"
        )
    return max(whole, key=lambda folder: folder.stat().st_mtime)


def hub_cache() -> Path:
    """Return the cache of the Hugging Face tools: $HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/..."""
    if named := os.environ.get("HF_HUB_CACHE"):
        return Path(named).expanduser().absolute()
    home = os.environ.get("HF_HOME")
    if not home:
        home = f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    return Path(home).expanduser().absolute() / "hub"


def missing(folder: Path) -> list[str]:
    """Return the names of what a model folder lacks; snapshots hold links, which may dangle."""
    absent = [name for name in NEEDED if not (folder / name).is_file()]
    if not any(path.is_file() for path in folder.glob("*.safetensors")):
        absent.append("*.safetensors")
    return absent


def _local(folder: Path) -> Path:
    if not folder.is_dir():
        raise BaseModelError(f"model.path: there is no folder {folder}")
    if absent := [name for name in missing(folder) if name in NEEDED]:
        raise BaseModelError(
            f"model.path: {folder} is no model folder, it lacks {' and '.join(absent)}"
        )
    return folder


def _folders(snapshots: Path) -> list[Path]:
    try:
        return [folder for folder in snapshots.iterdir() if folder.is_dir()]
    except OSError:
        return []
