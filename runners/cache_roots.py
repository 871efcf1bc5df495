"""Which folders of runs use a cache: its imports and environments are shared by all of them.

The rule: a launch leaves word in the cache, so that `prune` in one root spares what a run of
another one lives on.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

ROOTS = "roots"
"""In the cache: a file for each root, with its path in it."""
LONGEST_PATH = 4096


def note_root(cache: Path, root: Path) -> None:
    """Leave word that runs of *root* use *cache*. A cache that cannot be written fails later."""
    name = hashlib.sha256(str(root).encode()).hexdigest()[:16]
    with contextlib.suppress(OSError):
        folder = cache / ROOTS
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        gone = [each for each in folder.iterdir() if _root_of(each) is None]
        (folder / name).write_text(str(root), encoding="utf-8")
        for each in gone:
            each.unlink(missing_ok=True)


def known_roots(cache: Path) -> list[Path]:
    """The roots that use *cache* and are still there, in an order that everyone takes them in."""
    try:
        notes = list((cache / ROOTS).iterdir())
    except OSError:
        return []
    return sorted({root for note in notes if (root := _root_of(note)) is not None})


def _root_of(note: Path) -> Path | None:
    """The root that a note names; None where there is no such folder any more."""
    try:
        with note.open(encoding="utf-8") as stream:
            root = Path(stream.read(LONGEST_PATH))
        return root if root.is_absolute() and root.is_dir() else None
    except (OSError, ValueError):
        return None
