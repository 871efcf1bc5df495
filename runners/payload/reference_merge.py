"""The heavy half of the merge: what needs torch, transformers and peft."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from peft.tuners.tuners_utils import BaseTunerLayer

from .contract import Contract
from .hf_model import peak_bytes, versions
from .job import Job
from .reference_model import load_base


def merge_adapter(
    contract: Contract, job: Job, checkpoint: Path, target: Path, *, tensors: int
) -> None:
    """Write base + adapter of *checkpoint* as bf16 safetensors and config.json into *target*.

    As peft does it: the adapter's product is made in its own fp32, rounded, then added in bf16.
    """
    contract.facts["versions"] = versions()
    contract.heartbeat()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(int(job.lane("reference").get("threads") or 1))
    model = peft.PeftModel.from_pretrained(load_base(job.base, "bf16"), checkpoint)
    layers, merged = _merge_layers(contract, model, tensors)
    contract.heartbeat(phase="saving")
    merged.save_pretrained(target)
    contract.heartbeat(done=layers + tensors)
    contract.facts["peak_memory_bytes"] = peak_bytes("cpu")
    del model, merged
    gc.collect()


def _merge_layers(contract: Contract, model: Any, tensors: int) -> tuple[int, Any]:
    layers = [each for each in model.modules() if isinstance(each, BaseTunerLayer)]
    contract.heartbeat(phase="loading", done=0, total=len(layers) + tensors)
    for done, layer in enumerate(layers, 1):
        contract.raise_if_stopped()
        layer.merge(safe_merge=True)
        contract.progress(done)
    merged = model.unload()
    return len(layers), merged
