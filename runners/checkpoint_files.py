"""Is a checkpoint's content still what was saved? Looks at sizes and headers, never at tensors.

A checkpoint is published whole; what is found here was done to it afterwards.
"""

from __future__ import annotations

import json
from pathlib import Path

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
