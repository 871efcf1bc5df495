"""Megatron's own tree of checkpoints, in the work folder.

The rule: when a training begins, the tree is made anew from what is published. Megatron resumes
from its own tracker, which names a checkpoint some 45 ms before that is whole; a process killed in
between would never resume again by itself, and what a killed save left behind shares no file with
anything that is published.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from .causes import StageError
from .checkpoints import FOLDER, TRACKER, link_tree
from .files import remove_tree, replace

NEEDED = (".metadata", "metadata.json", "train_state.pt", "run_config.yaml")
"""Without any of these Megatron-Bridge cannot resume; run_config.yaml is the last it writes."""

STATE, LATEST_STATE = "train_state.pt", "latest_train_state.pt"
"""Of one checkpoint, and its copy beside them all: the tracker that Megatron-Bridge believes."""


def missing(folder: Path) -> list[str]:
    """What the Megatron checkpoint in *folder* lacks."""
    absent = [name for name in NEEDED if not (folder / name).is_file()]
    return absent if any(folder.glob("*.distcp")) else [*absent, "*.distcp"]


def make_tree(tree: Path, published: Path | None, iteration: int | None) -> None:
    """Make *tree* anew, with *published*, the checkpoint of *iteration*, as its only one.

    Without one the tree is empty. Raises StageError when it cannot be resumed from, and OSError.
    """
    remove_tree(tree)
    tree.mkdir(mode=0o700, parents=True)
    if published is None or iteration is None:
        return
    if not published.is_dir():
        raise StageError(f"the checkpoint to resume from is not there: {published}")
    if absent := missing(published):
        raise StageError(f"{published} cannot be resumed from: it lacks {', '.join(absent)}")
    link_tree(published, tree / FOLDER.format(iteration))
    shutil.copyfile(published / STATE, tree / LATEST_STATE)
    replace(tree / TRACKER, str(iteration).encode(), durable=False)


def forget_older(tree: Path, iteration: int) -> None:
    """Delete all of the tree's checkpoints but that of *iteration*; the published ones stay."""
    for folder in tree.glob("iter_*"):
        if folder.name != FOLDER.format(iteration):
            remove_tree(folder)
