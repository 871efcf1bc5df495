"""Micro-batches as Megatron takes them: tokens, each with the one after it and whether it counts.

The rule: position i is the i-th row of the order that is given, in any attempt.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import torch

from .rows import Row

PAD_TO = 16
"""Widths are a multiple of this, as Megatron-Bridge's own collator has it: fewer shapes."""


class RowsInOrder(torch.utils.data.Dataset):  # type: ignore[misc]  # torch is untyped here
    """*length* positions; position i is row order[i], and the order begins again at its end."""

    def __init__(self, rows: Sequence[Row], order: Sequence[int], length: int, pad_id: int) -> None:
        self._rows, self._order, self._length = rows, order, length
        self._pad_id = pad_id

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, position: int) -> Row:
        return self._rows[self._order[position % len(self._order)]]

    def collate_fn(self, rows: list[Row]) -> dict[str, Any]:
        """Make one micro-batch; each token is paired with the one after it, which it predicts."""
        width = max(1, *(len(row.ids) - 1 for row in rows))
        width = -(-width // PAD_TO) * PAD_TO
        tokens = torch.full((len(rows), width), self._pad_id, dtype=torch.long)
        labels = torch.full((len(rows), width), self._pad_id, dtype=torch.long)
        counted = torch.zeros((len(rows), width), dtype=torch.float)
        for index, row in enumerate(rows):
            length = len(row.ids) - 1
            ids = torch.tensor(row.ids, dtype=torch.long)
            tokens[index, :length] = ids[:-1]
            labels[index, :length] = ids[1:]
            counted[index, :length] = torch.tensor(list(row.mask[1:]), dtype=torch.float)
        places = torch.arange(width).expand(len(rows), width).contiguous()
        return {"tokens": tokens, "labels": labels, "loss_mask": counted, "position_ids": places}


def filled_up(rows: Sequence[Row], batch: int) -> list[Row]:
    """*rows* and, up to a multiple of *batch*, more that the loss counts nothing of."""
    more = -len(rows) % batch
    nothing = Row(array("i", rows[-1].ids), bytes(len(rows[-1].ids)))
    return [*rows, *[nothing] * more]
