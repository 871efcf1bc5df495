"""Train with transformers' own Trainer and peft.

The rule: nothing here is clever. This lane is the yardstick the others are compared with, so it
uses the libraries as their manuals do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import transformers

from .contract import Contract
from .hf_model import device_for, versions
from .hf_start import Start
from .hf_training import TrainerParts, Training
from .reference_model import load_for_training
from .rows import Row


class _OrderedRows(torch.utils.data.Dataset):  # type: ignore[misc]  # torch is untyped here
    """Rows in the given order: position i is drawn by every lane alike."""

    def __init__(self, rows: list[Row], positions: Sequence[int]) -> None:
        self._rows, self._positions = rows, positions

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, position: int) -> Row:
        return self._rows[self._positions[position]]


def train(contract: Contract, start: Start) -> Mapping[str, Any]:
    """Train to the end as *start* says; returns fields of result.json. Raises freely."""
    contract.heartbeat(phase="loading")
    transformers.utils.logging.disable_progress_bar()
    lane = start.job.lane("reference")
    torch.set_num_threads(int(lane.get("threads") or 1))
    contract.facts["versions"] = versions()
    contract.raise_if_stopped()
    device = device_for(str(lane.get("device") or "auto"), "lanes.reference.device")
    model = load_for_training(start.job, device)
    return _ReferenceTraining(contract, start, model=model, device=device).run()


class _ReferenceTraining(Training):
    def make_trainer(self, parts: TrainerParts) -> Any:
        arguments = transformers.TrainingArguments(
            **parts.settings,
            gradient_checkpointing=self.device == "cuda",
            gradient_checkpointing_kwargs={"use_reentrant": False},
        )
        return transformers.Trainer(
            model=parts.model,
            args=arguments,
            train_dataset=_OrderedRows(self.rows, parts.positions),
            eval_dataset=parts.evaluation,
            data_collator=self.collator(),
            callbacks=[parts.callback],
        )
