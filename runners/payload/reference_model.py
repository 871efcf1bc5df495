"""Load the model of the `reference` lane."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import torch
import transformers

from .contract import StageError
from .hf_model import refuse_gaps, require_base, require_targets
from .job import Job


def load_base(folder: Path, precision: str) -> Any:
    """Load the base model in *folder* as "bf16" or "fp32". Raises StageError when it is none."""
    require_base(folder)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model, told = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, output_loading_info=True
    )
    refuse_gaps(told, f"the base model in {folder}")
    return model


def load_for_training(job: Job, device: str) -> Any:
    """The base with a fresh adapter, seeded. Raises StageError when the recipe does not fit it."""
    lora = job.table("lora")
    transformers.set_seed(int(job.table("train")["seed"]))
    model = load_base(job.base, str(job.table("train")["precision"]))
    model.config.use_cache = False
    targets = list(lora["targets"])
    config = peft.LoraConfig(
        r=int(lora["rank"]),
        lora_alpha=float(lora["alpha"]),
        lora_dropout=float(lora["dropout"]),
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    try:
        model = peft.get_peft_model(model, config)
    except ValueError as error:
        raise StageError(f"lora.targets does not fit the model {job.base}: {error}") from error
    require_targets(model, targets, job.base)
    return model.to(device)
