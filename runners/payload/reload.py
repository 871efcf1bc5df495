"""Load an exported model again, as whoever uses it will: with transformers."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers

from .contract import StageError


def read_with(folder: Path, ids: list[int]) -> int:
    """Load the model in *folder* and read *ids* with it; return its number of parameters.

    Raises StageError when what it says is not a number.
    """
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    model.eval()
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids])).logits
    if not bool(torch.isfinite(logits).all()):
        raise StageError(f"the merged model in {folder} was loaded again but answers NaN")
    return sum(each.numel() for each in model.parameters())
