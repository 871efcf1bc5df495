"""Put whole folders in place. The rule: under its final name a folder is always complete."""

from __future__ import annotations

import shutil
from pathlib import Path

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
