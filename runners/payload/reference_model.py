"""Load the model of the `reference` lane, and what is known about the place it runs in."""

from __future__ import annotations

import platform
import resource
from pathlib import Path
from typing import Any

import peft
import torch
import transformers

from .contract import StageError
from .job import Job


def choose_device(job: Job) -> str:
    """Return "cuda" or "cpu", as the recipe asks. Raises StageError without the wanted GPU."""
    wanted = str(job.lane("reference").get("device") or "auto")
    there = bool(torch.cuda.is_available())
    if wanted == "cuda" and not there:
        raise StageError("lanes.reference.device is cuda, but PyTorch sees no usable GPU")
    return "cuda" if there and wanted != "cpu" else "cpu"


def load_base(folder: Path, precision: str) -> Any:
    """Load the base model in *folder* as "bf16" or "fp32". Raises StageError when it is none."""
    if not (folder / "config.json").is_file():
        raise StageError(f"the base model is not there: {folder} has no config.json")
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)


def load_for_training(job: Job, device: str) -> Any:
    """The base with a fresh adapter, seeded. Raises StageError when the recipe does not fit it."""
    lora = job.table("lora")
    transformers.set_seed(int(job.table("train")["seed"]))
    model = load_base(job.base, str(job.table("train")["precision"]))
    model.config.use_cache = False
    config = peft.LoraConfig(
        r=int(lora["rank"]),
        lora_alpha=float(lora["alpha"]),
        lora_dropout=float(lora["dropout"]),
        target_modules=list(lora["targets"]),
        task_type="CAUSAL_LM",
    )
    try:
        return peft.get_peft_model(model, config).to(device)
    except ValueError as error:
        raise StageError(f"lora.targets does not fit the model {job.base}: {error}") from error


def padding_id(config: Any) -> int:
    """An id to fill batches up with. Attention and loss leave it out, so any valid one will do."""
    for value in (getattr(config, "pad_token_id", None), getattr(config, "eos_token_id", None)):
        if isinstance(value, int):
            return value
    return 0


def peak_bytes(device: str) -> int:
    """The most memory this process has used: of the GPU's, or else resident."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def versions() -> dict[str, str]:
    """What a result depends on."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "transformers": str(transformers.__version__),
        "peft": str(peft.__version__),
    }
