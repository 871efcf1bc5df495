"""Is a checkpoint's content still what was saved? Looks at sizes and headers, never at tensors.

A checkpoint is published whole; what is found here was done to it afterwards.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

OF_A_TRAINER = ("optimizer.pt", "scheduler.pt", "rng_state.pth")
OF_AN_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
OF_MEGATRON = ("train_state.pt",)
"""By torch.save: a ZIP archive, whose table is its end. Without these a training has no past."""

HEADER_LIMIT_BYTES = 100 << 20
"""The safetensors format allows no longer header."""


def damage(folder: Path) -> str | None:
    """Say what is wrong with the checkpoint in *folder*, or None when nothing is seen to be."""
    try:
        files = [path for path in folder.iterdir() if path.is_file()]
    except OSError as error:
        return f"{folder.name} cannot be read: {error.strerror or error}"
    if not files:
        return f"{folder.name} is empty"
    for path in files:
        if path.suffix == ".safetensors" and (why := _damage(path)):
            return f"{folder.name}/{path.name} {why}"
    names = {path.name for path in files}
    if "adapter_model.safetensors" in names and "trainer_state.json" not in names:
        return f"{folder.name} lacks trainer_state.json"
    return None


def unresumable(folder: Path) -> str | None:
    """Say why a training cannot go on from the checkpoint in *folder*, or None.

    transformers goes on without an optimizer's state, too: it begins a new one and says nothing,
    and the rate of learning begins again with it.
    """
    if why := damage(folder):
        return why
    names = {path.name for path in folder.iterdir()}
    if "adapter_model.safetensors" in names and "trainer_state.json" in names:
        needed: tuple[str, ...] = OF_A_TRAINER
    elif "metadata.json" in names and "train_state.pt" in names:
        needed = OF_MEGATRON
        parts = list(folder.glob("*.distcp"))
        if not parts or not all(path.stat().st_size for path in parts):
            return f"{folder.name} lacks a part of its state (*.distcp)"
    else:
        return None
    for name in needed:
        if name not in names:
            return f"{folder.name} lacks {name}"
        if not zipfile.is_zipfile(folder / name):
            return f"{folder.name}/{name} is cut short"
    return None


def unmergeable(folder: Path) -> str | None:
    """Say why the checkpoint in *folder* cannot be merged, or None."""
    if why := damage(folder):
        return why
    if not (folder / "trainer_state.json").is_file():
        return None
    lost = [name for name in OF_AN_ADAPTER if not (folder / name).is_file()]
    return f"{folder.name} lacks {lost[0]}" if lost else None


def _damage(path: Path) -> str | None:
    """A safetensors file is its header's length (8 bytes), the header, and the tensors it tells of.

    Source: the safetensors format, as its own documentation describes it.
    """
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            size = path.stat().st_size
            if not 0 < length <= min(HEADER_LIMIT_BYTES, size - 8):
                return "is cut short"
            header = json.loads(stream.read(length))
        ends = [
            entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"
        ]
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return "has no readable header"
    return "is cut short" if size != 8 + length + max(ends, default=0) else None
