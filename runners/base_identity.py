"""Which content a base model's folder has, told without reading it.

The rule: it loads nothing of a recipe's model, for every launch and attach passes here.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

WEIGHTS = "*.safetensors"


def base_identity(folder: Path | None) -> str | None:
    """Tells one content of the base *folder* from another, without reading it; None: not known.

    By the files' sizes and times, in the hub's cache by the names of the blobs they lead to.
    """
    if folder is None:
        return None
    digest = hashlib.sha256()
    try:
        for path in [folder / "config.json", *sorted(folder.glob(WEIGHTS))]:
            status = path.stat()
            mark = path.readlink().name if path.is_symlink() else status.st_mtime_ns
            digest.update(f"{path.name}\0{status.st_size}\0{mark}\0".encode())
    except OSError:
        return None
    return digest.hexdigest()
