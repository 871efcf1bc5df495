"""What every lane built on Hugging Face's libraries asks of a model and of the place it runs in."""

from __future__ import annotations

import importlib.metadata
import platform
import resource
from pathlib import Path
from typing import Any

import torch

from .contract import StageError


def require_base(folder: Path) -> None:
    """Raise StageError unless *folder* looks like a model's."""
    if not (folder / "config.json").is_file():
        raise StageError(f"the base model is not there: {folder} has no config.json")


def device_for(wanted: str, field: str) -> str:
    """Return "cuda" or "cpu" for "auto", "cuda" or "cpu", as the recipe's *field* asks.

    Raises StageError without the wanted GPU.
    """
    there = bool(torch.cuda.is_available())
    if wanted == "cuda" and not there:
        raise StageError(f"{field} or run.gpu asks for a GPU, but PyTorch sees no usable one")
    return "cuda" if there and wanted != "cpu" else "cpu"


def padding_id(config: Any) -> int:
    """An id to fill batches up with. Attention and loss leave it out, so any valid one will do."""
    for value in (getattr(config, "pad_token_id", None), getattr(config, "eos_token_id", None)):
        if isinstance(value, int):
            return value
    return 0


def trainable_parameters(model: Any) -> int:
    """How many numbers of *model* are learnt."""
    return sum(each.numel() for each in model.parameters() if each.requires_grad)


def peak_bytes(device: str) -> int:
    """The most memory this process has used: of the GPU's, or else resident."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def versions(*more: str) -> dict[str, str]:
    """What a result depends on: Python, torch, transformers, peft and the packages *more*."""
    found = {"python": platform.python_version(), "torch": str(torch.__version__)}
    for name in ("transformers", "peft", *more):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    return found
