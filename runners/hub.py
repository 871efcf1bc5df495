"""Where the Hugging Face tools of this user keep what they load. Loads nothing heavy itself."""

from __future__ import annotations

import os
from pathlib import Path

from monitor.rundir import expanded


def hub_cache() -> Path:
    """Return the cache of the Hugging Face tools: $HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/...

    Their older name of the first still counts for them.
    """
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if named := os.environ.get(name):
            return expanded(named).absolute()
    home = os.environ.get("HF_HOME")
    if not home:
        home = f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    return expanded(home).absolute() / "hub"


def repository_folder(name: str, cache: Path) -> Path:
    """Where they keep the model *name* of the hub in *cache*, there or not."""
    return cache / f"models--{name.replace('/', '--')}"
