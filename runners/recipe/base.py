"""Find the base model of a recipe on this machine. Downloads nothing: a stage of the run does."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from monitor.files import read_json
from runners.base_identity import WEIGHTS
from runners.errors import RunnerError
from runners.hub import hub_cache, repository_folder
from runners.payload.causes import StageError
from runners.payload.shards import (
    eight_bits,
    linear_layers,
    lost_tensors,
    packed,
    read_tensors,
    unmatched,
)
from runners.recipe.model import TINY_MODEL, Recipe

MOST_TROUBLES = 3

INDEX = "model.safetensors.index.json"
NO_WEIGHTS = "holds no weights (*.safetensors); get the model again"

NEEDED = ("config.json", "tokenizer.json")
"""Without these two neither `prepare` nor a trainer can use a model folder."""


class BaseModelError(RunnerError):
    """The base model is not on this machine, or not whole."""


class NotFetchedError(BaseModelError):
    """A model of the hub that is not in this user's cache yet."""


def resolve_base(recipe: Recipe, cache_root: Path | None = None) -> Path | None:
    """Return the folder of the recipe's base model; None for the tiny one, which `fetch` makes.

    A name of the hub is looked up in *cache_root*, or by default where the Hugging Face tools keep
    their cache; the snapshot of its main branch is taken, or where that is not whole the newest
    one that is. Raises BaseModelError.
    """
    name = recipe.model.path
    if name == TINY_MODEL:
        return None
    if Path(name).is_absolute():
        return _local(Path(name))
    hub = cache_root or hub_cache()
    snapshots = repository_folder(name, hub) / "snapshots"
    whole = [folder for folder in _folders(snapshots) if not missing(folder)]
    if not whole:
        raise NotFetchedError(
            f"model.path: {name} is not in the Hugging Face cache {hub} yet; "
            "the stage `fetch` of a run loads it, or name a local folder"
        )
    main = _revision_of_main(snapshots.parent)
    best = max(whole, key=lambda folder: (folder.name == main, folder.stat().st_mtime))
    return _require_usable(best)


def _revision_of_main(repository: Path) -> str | None:
    """What the branch was when it was last asked for; an older revision may be the newer folder."""
    try:
        return (repository / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None


def base_or_hub(recipe: Recipe) -> tuple[Path | None, str | None]:
    """The base's folder, or else the name of the hub by which the stage `fetch` gets it.

    Both None for the tiny model, which the run makes itself. Raises BaseModelError.
    """
    try:
        return resolve_base(recipe), None
    except NotFetchedError:
        return None, recipe.model.path


def base_config(folder: Path | None) -> Mapping[str, Any] | None:
    """The config.json of the base in *folder*; None where there is none that can be read."""
    return None if folder is None else read_json(folder / "config.json").value


def troubles(folder: Path) -> list[str]:
    """What of a model folder cannot be read, and what to do; a few are enough to tell."""
    found = [trouble for path in sorted(folder.iterdir()) if (trouble := _trouble(path))]
    more = len(found) - MOST_TROUBLES
    return found[:MOST_TROUBLES] + ([f"and {more} more"] if more > 0 else [])


def _trouble(path: Path) -> str | None:
    if not path.exists():
        where = os.path.realpath(path)
        return f"{path.name} leads to {where}, which is not there: fetch the model again"
    if os.access(path, os.R_OK):
        return None
    real = Path(os.path.realpath(path))
    owner = real.stat().st_uid
    return (
        f"{path.name} ({real}) belongs to user {owner} and may not be read: "
        f"`sudo chown -R $(id -u) {real.parent}`"
    )


def _require_usable(folder: Path) -> Path:
    if found := troubles(folder):
        raise BaseModelError(f"model.path: {folder}: {'; '.join(found)}")
    return folder


def weight_problems(recipe: Recipe, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (field, what is wrong; what to do) of the weights in *folder*. Reads headers alone.

    A folder without safetensors is not looked into.
    """
    local = Path(recipe.model.path).is_absolute()
    again = (
        "get the model again"
        if local
        else ("delete that file and what it links to: a launch then fetches it again")
    )
    try:
        tensors = read_tensors(folder)
    except StageError as error:
        yield "model.path", f"{error}; {again}"
        return
    config = base_config(folder)
    if config is None and (folder / "config.json").is_file():
        yield "model.path", f"{folder / 'config.json'} holds no JSON object; {again}"
        return
    if lost := lost_tensors(folder, tensors):
        more = f" and {len(lost) - 1} more" if lost[1:] else ""
        yield "model.path", f"{folder}: {INDEX} promises {lost[0]}{more}, in no file; {again}"
        return
    config = config or {}
    if why := packed(config) or eight_bits(tensors):
        yield "model.path", f"{folder}: {why}"
        return
    tied = config.get("tie_word_embeddings") is True
    # Merged into one of two that are one, an adapter would change the other as well.
    names = [name for name in linear_layers(tensors) if not (tied and name == "lm_head")]
    if not names:
        return
    if unknown := unmatched(recipe.lora.targets, names):
        known = sorted({name.rpartition(".")[2] for name in names if ".layers." in name})
        close = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(known[:12])}"
        yield "lora.targets", f"{unknown[0]!r} is no linear layer of the base {folder}; {hint}"


def has_weights(folder: Path) -> bool:
    """True unless *folder* holds nothing that a trainer could load, as after half a download."""
    return any(path.is_file() for kind in (WEIGHTS, "*.bin") for path in folder.glob(kind))


def missing(folder: Path) -> list[str]:
    """Return the names of what a model folder lacks; snapshots hold links, which may dangle."""
    absent = [name for name in NEEDED if not (folder / name).is_file()]
    if not any(path.is_file() for path in folder.glob(WEIGHTS)):
        return [*absent, WEIGHTS]
    return absent + [name for name in _shards(folder) if not (folder / name).is_file()]


def _shards(folder: Path) -> list[str]:
    """The files that a model in several has, by its own index."""
    index = read_json(folder / INDEX).value or {}
    parts = index.get("weight_map")
    return sorted({str(each) for each in parts.values()}) if isinstance(parts, dict) else []


def _local(folder: Path) -> Path:
    if not folder.is_dir():
        raise BaseModelError(f"model.path: there is no folder {folder}")
    absent = missing(folder)
    if needed := [name for name in absent if name in NEEDED]:
        raise BaseModelError(
            f"model.path: {folder} is no model folder, it lacks {' and '.join(needed)}"
        )
    lost = [name for name in absent if name != WEIGHTS and not (folder / name).is_symlink()]
    if lost:  # a link that leads nowhere is named below, with where it leads
        named = ", ".join(lost[:MOST_TROUBLES]) + (" and more" if lost[MOST_TROUBLES:] else "")
        raise BaseModelError(
            f"model.path: {folder} is not whole: {INDEX} names {named}, which it lacks"
        )
    return _require_usable(folder)


def _folders(snapshots: Path) -> list[Path]:
    try:
        return [folder for folder in snapshots.iterdir() if folder.is_dir()]
    except OSError:
        return []
