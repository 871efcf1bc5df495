"""What every lane built on Hugging Face's libraries asks of a model and of the place it runs in."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import resource
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from .contract import StageError
from .files import read_object
from .shards import packed, unmatched


def require_base(folder: Path) -> None:
    """Raise StageError unless *folder* looks like that of a model that an adapter fits."""
    if not (folder / "config.json").is_file():
        raise StageError(f"the base model is not there: {folder} has no config.json")
    if why := packed(read_object(folder / "config.json") or {}):
        raise StageError(f"the base {folder} cannot be used: {why}")


def refuse_gaps(told: Mapping[str, Any], what: str) -> None:
    """Raise StageError if transformers filled gaps in *what* with random numbers.

    *told* is what `from_pretrained(…, output_loading_info=True)` says.
    """
    gaps = sorted(map(str, told.get("missing_keys") or ()))
    if gaps:
        raise StageError(
            f"{what} lacks {len(gaps)} of its tensors ({', '.join(gaps[:3])}): transformers would "
            "put random numbers there"
        )


@contextlib.contextmanager
def gaps_refused(what: str) -> Iterator[None]:
    """The same for a model that a library loads meanwhile, which passes on nothing of it.

    What transformers says of a load is heard where transformers logs it. A library may have buffers
    of its own in the model, which no base holds: weights alone count.
    """
    place, name = transformers.modeling_utils, "log_state_dict_report"
    original = getattr(place, name, None)
    gaps: set[str] = set()

    def listen(*given: Any, **named: Any) -> Any:
        found = getattr(named.get("loading_info"), "missing_keys", None) or ()
        gaps.update(each for each in found if str(each).endswith((".weight", ".bias")))
        return original(*given, **named) if original else None

    setattr(place, name, listen)
    try:
        yield
    finally:
        if original is not None:
            setattr(place, name, original)
    refuse_gaps({"missing_keys": gaps}, what)


def require_targets(model: Any, targets: Sequence[str], base: Path) -> None:
    """Raise StageError if one of *targets* got no adapter: peft minds only if none did."""
    adapted = [name for name, module in model.named_modules() if hasattr(module, "lora_A")]
    if unknown := unmatched(targets, adapted):
        raise StageError(f"lora.targets: the model {base} has no linear layer {unknown[0]!r}")
    if getattr(model.config, "tie_word_embeddings", False) and any(
        name.endswith(".lm_head") for name in adapted
    ):
        raise StageError(
            f"lora.targets: lm_head and the embeddings of {base} are one: merged, an adapter on "
            "one would change both"
        )


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
