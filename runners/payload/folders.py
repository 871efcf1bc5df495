"""Put whole folders in place. The rule: under its final name a folder is always complete."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from .causes import StageError
from .files import remove_tree, sync

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
)
"""What belongs to a model beside its weights and config.json; copied when there."""


def begin_folder(target: Path) -> Path:
    """Return a new empty folder beside *target*, to be filled and then put in its place."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    remove_tree(temporary)
    temporary.mkdir(mode=0o700)
    return temporary


def put_in_place(temporary: Path, target: Path) -> None:
    """Rename the filled *temporary* to *target*, in the place of what is there. Raises OSError."""
    for path in [*temporary.rglob("*"), temporary]:
        sync(path)
    displaced = target.with_name(f".{target.name}.old")
    remove_tree(displaced)
    if target.exists():
        target.rename(displaced)
    temporary.rename(target)
    sync(target.parent)
    remove_tree(displaced)


def copy_files(names: tuple[str, ...], source: Path, target: Path) -> list[str]:
    """Copy those of *names* that *source* has; return them. Raises OSError."""
    there = [name for name in names if (source / name).is_file()]
    for name in there:
        shutil.copyfile(source / name, target / name)
    return there


def read_tensors(folder: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return (dtype, shape) by name of every tensor in the .safetensors files of *folder*.

    Reads headers alone (8 bytes of length, then JSON). Raises StageError on a broken file.
    """
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with path.open("rb") as stream:
                length = int.from_bytes(stream.read(8), "little")
                header = json.loads(stream.read(min(length, path.stat().st_size)))
            header.pop("__metadata__", None)
            found |= {name: (each["dtype"], tuple(each["shape"])) for name, each in header.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StageError(f"{path} is no whole safetensors file: {error}") from error
    return found
