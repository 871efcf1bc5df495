"""Train with Unsloth and TRL's trainer, as Unsloth's manual does, on the rows of every other lane.

The rule: TRL and Unsloth are given ids and labels and prepare nothing: no template, no packing, no
masking of their own. What they would change by themselves is said.
"""

from __future__ import annotations

from .unsloth_model import device, fast_path_of, load_for_training  # isort: split

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import torch
import transformers
import trl

from .contract import Contract
from .hf_model import versions
from .hf_start import Start
from .hf_training import TrainerParts, Training, pad
from .rows import Row

PACKAGES = ("unsloth", "unsloth_zoo", "trl", "datasets", "accelerate", "bitsandbytes")


def train(contract: Contract, start: Start) -> Mapping[str, Any]:
    """Train to the end as *start* says; returns fields of result.json. Raises freely."""
    contract.heartbeat(phase="loading")
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    if device() == "cpu":
        torch.set_num_threads(int(start.job.lane("unsloth").get("threads") or 1))
    contract.facts["versions"] = versions(*PACKAGES)
    contract.raise_if_stopped()
    model, tokenizer = load_for_training(start.job)
    contract.facts["fast_path"] = fast_path_of(model, start.job)
    return _UnslothTraining(
        contract, start, model=model, device=device(), tokenizer=tokenizer
    ).run()


class _UnslothTraining(Training):
    def __init__(self, contract: Contract, start: Start, *, tokenizer: Any, **parts: Any) -> None:
        super().__init__(contract, start, **parts)
        self._tokenizer = tokenizer

    def make_trainer(self, parts: TrainerParts) -> Any:
        settings = dict(parts.settings)
        if self.device == "cpu":
            settings["gradient_checkpointing"] = False  # TRL's default is True
        rows = _dataset(self.rows)
        evaluation = None if parts.evaluation is None else _dataset(parts.evaluation)
        return trl.SFTTrainer(
            model=parts.model,
            args=trl.SFTConfig(
                **settings,
                max_length=int(self.job.table("model")["sequence_length"]),
                packing=False,
                padding_free=False,
                dataset_kwargs={"skip_prepare_dataset": True},
            ),
            train_dataset=rows.select(parts.positions),
            eval_dataset=evaluation,
            data_collator=functools.partial(_collate, pad_id=self.pad_id),
            processing_class=self._tokenizer,
            callbacks=[parts.callback],
        )


def _dataset(rows: Sequence[Row]) -> Any:
    """The rows as TRL wants them; kept in memory, so that nothing is written beside the run."""
    return datasets.Dataset.from_dict(
        {"input_ids": [row.ids.tolist() for row in rows], "labels": [row.labels() for row in rows]}
    )


def _collate(features: Sequence[Mapping[str, Any]], pad_id: int) -> dict[str, Any]:
    return pad([(each["input_ids"], each["labels"]) for each in features], pad_id)
