"""The prepared rows as Megatron-Bridge is given them: a dataset in its configuration.

Megatron counts the rows it has consumed, keeps the number in each checkpoint and goes on there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from megatron.bridge.training.config import DatasetProvider

from .nemo_batches import RowsInOrder


@dataclass
class PreparedRows(DatasetProvider):  # type: ignore[misc]  # Megatron-Bridge is untyped here
    """What Megatron-Bridge's configuration names as its dataset."""

    seq_length: int = 0

    def use(self, training: RowsInOrder, evaluation: RowsInOrder | None) -> None:
        """Give the rows. They are no fields: those are written into every checkpoint."""
        self._given = (training, evaluation, None)

    def build_datasets(self, context: Any) -> tuple[Any, Any, Any]:  # noqa: ARG002 - as it is called
        """Training, evaluation and test rows."""
        return self._given
