"""Render and tokenise the rows once, so that every lane trains on the same ids and mask."""

from __future__ import annotations

from runners.prepare.manifest import Manifest, prepare_inputs, prepare_is_whole
from runners.prepare.order import longest, smoke_order
from runners.prepare.stage import prepare

__all__ = [
    "Manifest",
    "longest",
    "prepare",
    "prepare_inputs",
    "prepare_is_whole",
    "smoke_order",
]
