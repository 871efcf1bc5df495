"""Each lane's trainer as its manual has it, without any of lanewatch: what `gpu.py` compares with.

The rule: nothing of lanewatch is imported. The same base, rows, order, settings and save interval;
the end of each iteration and save is noted by the trainer's own callback.

    python bench/by_hand.py --lane reference --base BASE --data RUN/data --to times.json
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj"]
RANK, ALPHA, DROPOUT, LR, WARMUP, SEED, MICRO = 16, 32, 0.05, 1e-4, 0.05, 3407, 2
IGNORED = -100


@dataclass(slots=True)
class Work:
    """What to train on, and when each iteration ended."""

    base: Path
    imported: Path | None
    """Of the nemo lane: the base as a Megatron checkpoint."""
    rows: list[dict[str, list[int]]]
    iterations: int
    accumulation: int
    sequence: int
    save_interval: int
    ends_s: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    saves_s: list[float] = field(default_factory=list)
    """Seconds of each save."""

    @property
    def warmup(self) -> int:
        """In iterations."""
        return math.ceil(WARMUP * self.iterations)


def batch_of(rows: Sequence[dict[str, list[int]]]) -> dict[str, Any]:
    """A micro-batch as transformers takes it."""
    import torch

    width = max(len(row["ids"]) for row in rows)

    def padded(values: list[int], filling: int) -> list[int]:
        return values + [filling] * (width - len(values))

    def labels(row: dict[str, list[int]]) -> list[int]:
        return [
            each if counts else IGNORED
            for each, counts in zip(row["ids"], row["mask"], strict=True)
        ]

    return {
        "input_ids": torch.tensor([padded(row["ids"], 0) for row in rows]),
        "attention_mask": torch.tensor([padded([1] * len(row["ids"]), 0) for row in rows]),
        "labels": torch.tensor([padded(labels(row), IGNORED) for row in rows]),
    }


def _noting(work: Work) -> Any:
    import transformers

    class Noting(transformers.TrainerCallback):  # type: ignore[misc]  # untyped here
        def on_log(self, *_: Any, logs: Any = None, **__: Any) -> None:
            if logs and "loss" in logs:
                work.ends_s.append(time.monotonic())
                work.losses.append(float(logs["loss"]))

        def on_save(self, *_: Any, **__: Any) -> None:
            work.saves_s.append(time.monotonic() - work.ends_s[-1])

    return Noting()


def _settings(work: Work, folder: str) -> dict[str, Any]:
    """transformers' arguments of the recipe."""
    import torch

    cuda = torch.cuda.is_available()
    return {
        "output_dir": folder,
        "max_steps": work.iterations,
        "per_device_train_batch_size": MICRO,
        "gradient_accumulation_steps": work.accumulation,
        "learning_rate": LR,
        "lr_scheduler_type": "cosine",
        "warmup_steps": work.warmup,
        "optim": "adamw_torch",
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "bf16": True,
        "seed": SEED,
        "train_sampling_strategy": "sequential",
        "remove_unused_columns": False,
        "dataloader_pin_memory": cuda,
        "use_cpu": not cuda,
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": work.save_interval,
        "report_to": [],
        "disable_tqdm": True,
    }


def reference(work: Work) -> None:
    """transformers' Trainer and peft."""
    import peft
    import torch
    import transformers

    cuda = torch.cuda.is_available()
    transformers.set_seed(SEED)
    model = transformers.AutoModelForCausalLM.from_pretrained(work.base, dtype=torch.bfloat16)
    model.config.use_cache = False
    lora = peft.LoraConfig(
        r=RANK, lora_alpha=ALPHA, lora_dropout=DROPOUT, target_modules=TARGETS,
        task_type="CAUSAL_LM",
    )  # fmt: skip
    model = peft.get_peft_model(model, lora).to("cuda" if cuda else "cpu")
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            **_settings(work, folder),
            gradient_checkpointing=cuda,
            gradient_checkpointing_kwargs={"use_reentrant": False},
        )
        transformers.Trainer(
            model=model,
            args=arguments,
            train_dataset=work.rows,
            data_collator=batch_of,
            callbacks=[_noting(work)],
        ).train()


def unsloth(work: Work) -> None:
    """Unsloth's FastLanguageModel and TRL's SFTTrainer."""
    if site := os.environ.get("LANEWATCH_BENCH_SITE"):
        sys.path.insert(0, site)
        sys.modules["torchao"] = None  # type: ignore[assignment]  # as its manual says: uninstalled
    from unsloth import FastLanguageModel  # isort: split

    import datasets
    import torch
    import trl

    cuda = torch.cuda.is_available()
    checkpointing = "unsloth" if cuda else False
    model, tokenizer = FastLanguageModel.from_pretrained(
        model_name=str(work.base), max_seq_length=work.sequence, dtype=torch.bfloat16,
        load_in_4bit=False, load_in_16bit=True, use_gradient_checkpointing=checkpointing,
        random_state=SEED, local_files_only=True,
    )  # fmt: skip
    model = FastLanguageModel.get_peft_model(
        model, r=RANK, lora_alpha=ALPHA, lora_dropout=DROPOUT, target_modules=TARGETS, bias="none",
        use_gradient_checkpointing=checkpointing, random_state=SEED, max_seq_length=work.sequence,
    )  # fmt: skip
    rows = datasets.Dataset.from_list(work.rows)
    with tempfile.TemporaryDirectory() as folder:
        arguments = trl.SFTConfig(
            **_settings(work, folder), max_length=work.sequence, packing=False, padding_free=False,
            dataset_kwargs={"skip_prepare_dataset": True},
            **({} if cuda else {"gradient_checkpointing": False}),
        )  # fmt: skip
        trl.SFTTrainer(
            model=model,
            args=arguments,
            train_dataset=rows,
            data_collator=batch_of,
            processing_class=tokenizer,
            callbacks=[_noting(work)],
        ).train()


def nemo(work: Work) -> None:
    """Megatron-Bridge's finetune() with a configuration of one's own, as its manual has it."""
    import by_hand_nemo

    by_hand_nemo.train(work)


LANES = {"reference": reference, "unsloth": unsloth, "nemo": nemo}


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def main() -> None:
    """Train, and write when each iteration ended, what the saves took and the most memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lane", choices=LANES, required=True)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--imported", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--save-interval", type=int, required=True)
    parser.add_argument("--accumulation", type=int, default=4)
    parser.add_argument("--sequence", type=int, default=4096)
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args()
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    lines = (options.data / "train.jsonl").read_text().splitlines()
    work = Work(
        base=options.base,
        imported=options.imported,
        rows=[json.loads(line) for line in lines],
        iterations=options.iterations,
        accumulation=options.accumulation,
        sequence=options.sequence,
        save_interval=options.save_interval,
    )
    # Megatron's loop may leave by itself once it is through.
    with contextlib.suppress(SystemExit):
        LANES[options.lane](work)
    content = {"ends_s": work.ends_s, "losses": work.losses, "saves_s": work.saves_s}
    options.to.write_text(json.dumps(content | {"peak_memory_bytes": peak_bytes()}))


def peak_bytes() -> int | None:
    """What PyTorch allocated at most on the GPU, None without one."""
    import torch

    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None


if __name__ == "__main__":
    main()
