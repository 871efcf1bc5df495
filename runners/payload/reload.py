"""Load an exported model again, as whoever uses it will: with transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file

from .contract import StageError
from .files import read_object
from .hf_model import refuse_gaps
from .shards import read_header, weight_files

HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
"""The two that may be one."""


def read_with(folder: Path, ids: list[int]) -> int:
    """Load the model in *folder* and read *ids* with it; return its number of parameters.

    Raises StageError when a tensor is missing, or what it says is not a number.
    """
    model, told = transformers.AutoModelForCausalLM.from_pretrained(
        folder, output_loading_info=True
    )
    refuse_gaps(told, f"the merged model in {folder}")
    model.eval()
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids])).logits
    if not bool(torch.isfinite(logits).all()):
        raise StageError(f"the merged model in {folder} was loaded again but answers NaN")
    return sum(each.numel() for each in model.parameters())


def carry_over(names: Sequence[str], base: Path, merged: Path) -> None:
    """Write the tensors *names* of *base* into *merged*, floating-point ones in bf16.

    They go into a file of their own; `name_as_usual` gives it its name. Raises OSError.
    """
    tied = (read_object(merged / "config.json") or {}).get("tie_word_embeddings") is True
    found = {name: _tensor(base, name) for name in names}
    if tied and HEAD in found and (embedding := _tensor(merged, EMBEDDING)) is not None:
        found[HEAD] = embedding.clone()  # the same as the input's, whatever was trained
    whole = {
        name: each.to(torch.bfloat16) if each.is_floating_point() else each
        for name, each in found.items()
        if each is not None
    }
    save_file(whole, merged / "taken-along.safetensors", metadata={"format": "pt"})


def _tensor(folder: Path, name: str) -> Any:
    for path in weight_files(folder):
        if name in read_header(path):
            with safe_open(path, framework="pt") as opened:
                return opened.get_tensor(name)
    return None
