"""Rows that are there more than once: learnt more often than others, or evaluated on though learnt.

Keeps eight bytes of a row, not the row.
"""

from __future__ import annotations

import hashlib
import json

from runners.recipe.data import Row

FINGERPRINT_BYTES = 8
"""Two rows of ten million that differ have the same with a probability under 1 in 100,000."""


def fingerprint(row: Row) -> int:
    """The same for two rows that say the same, wherever they stand and whatever their shape."""
    said = (row.messages, row.prompt, row.answer, row.call, row.tools)
    text = json.dumps(said, sort_keys=True, default=str)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=FINGERPRINT_BYTES).digest())


class Repeats:
    """What has been seen of one file, and of the training's where this is the evaluation's."""

    def __init__(self, trained: Repeats | None = None) -> None:
        self._seen: set[int] = set()
        self._trained = trained

    def of(self, row: Row) -> str | None:
        """What *row* repeats, in words; None where it is new."""
        mark = fingerprint(row)
        if mark in self._seen:
            return "the same as an earlier row"
        self._seen.add(mark)
        if self._trained is not None and mark in self._trained._seen:
            return "trained on as well (data.path)"
        return None
