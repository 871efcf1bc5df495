"""The heavy half of the import: what needs torch, transformers and Megatron-Bridge."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from megatron.bridge.training.model_load_save import temporary_distributed_context
from megatron.core.utils import unwrap_model

from .contract import Contract, StageError, say
from .hf_model import refuse_gaps
from .job import Job
from .nemo_megatron import be_alone, open_bridge, provider_of, versions

TOKENS = 64
"""Length of the text that both models read."""
MOST_DIFFERENCE = 0.1
"""Of a token's logits, relative to their size: bf16 kernels of two libraries differ by 1 to 2 %."""
FREQUENCY_ROOM = 1e-5
"""Relative; a rope that is wrong is off by percents, float32 arithmetic by 1e-7."""


def import_base(
    contract: Contract, job: Job, target: Path, yarn: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Write the base as a Megatron checkpoint into *target*; returns what was compared.

    Raises StageError when the import does not answer as the base does.
    """
    contract.facts["versions"] = versions()
    contract.heartbeat(phase="loading", done=None, total=None)
    transformers.utils.logging.disable_progress_bar()
    wanted = _read_with_transformers(job.base)
    contract.heartbeat()
    be_alone()
    bridge = open_bridge(job.base)
    provider = provider_of(bridge, yarn, load_weights=True)
    if hasattr(provider, "finalize"):
        provider.finalize()
    with temporary_distributed_context(backend="gloo"):
        model = provider.provide_distributed_model(wrap_with_ddp=False, use_cpu_initialization=True)
        contract.heartbeat()
        facts = _compare(model, wanted)
        contract.heartbeat(phase="saving")
        bridge.save_megatron_model(
            model, str(target), hf_tokenizer_path=str(job.base), low_memory_save=True
        )
    difference = facts["logit_difference"]
    say(f"the imported base answers as Hugging Face's: logits differ by {difference:.2e}")
    return facts


def _read_with_transformers(base: Path) -> dict[str, Any]:
    """Logits of a few tokens, and the rope, as transformers computes them."""
    model, told = transformers.AutoModelForCausalLM.from_pretrained(
        base, dtype="auto", output_loading_info=True
    )
    refuse_gaps(told, f"the base model in {base}")
    model.eval()
    ids = torch.arange(TOKENS)[None] % int(model.config.vocab_size)
    if torch.cuda.is_available():
        model = model.cuda()
    rope = getattr(model.model, "rotary_emb", None)
    with torch.inference_mode():
        logits = model(input_ids=ids.to(model.device)).logits.float().cpu()
    found = {"ids": ids, "logits": logits, "frequencies": None, "scale": 1.0}
    if rope is not None:
        found["frequencies"] = rope.inv_freq.float().cpu()
        found["scale"] = float(getattr(rope, "attention_scaling", 1.0))
    del model, rope
    gc.collect()
    torch.cuda.empty_cache()
    return found


def _compare(models: list[Any], wanted: Mapping[str, Any]) -> dict[str, float]:
    """Raise StageError unless the Megatron model has the rope and the answers of *wanted*."""
    model = unwrap_model(models[0])
    facts = _compare_rope(model, wanted)
    logits = _logits(models[0], wanted["ids"])[..., : wanted["logits"].shape[-1]]
    sizes = wanted["logits"].norm(dim=-1)
    # A padding token may have an embedding of zeros, and so no size to compare with.
    relative = (logits - wanted["logits"]).norm(dim=-1) / sizes.clamp(min=0.01 * sizes.mean())
    difference = float(relative.max())
    # Not "more than": a NaN compares false with everything.
    if not difference <= MOST_DIFFERENCE:
        raise StageError(
            f"the imported base does not answer as Hugging Face's does: logits of one token "
            f"differ by {difference:.1%}, at most {MOST_DIFFERENCE:.0%} is expected"
        )
    return facts | {"logit_difference": difference}


def _compare_rope(model: Any, wanted: Mapping[str, Any]) -> dict[str, float]:
    """Short texts hardly turn the slow frequencies, so the rope is compared by itself."""
    rope, frequencies = getattr(model, "rotary_pos_emb", None), wanted["frequencies"]
    if rope is None or frequencies is None:
        return {}
    made = rope.get_emb(2) if hasattr(rope, "get_emb") else rope(2)
    angles, scale = made if isinstance(made, tuple) else (made, 1.0)
    got = angles[1].flatten()[: len(frequencies)].float().cpu()
    error = float(((got - frequencies).abs() / frequencies).max())
    if not error <= FREQUENCY_ROOM or abs(float(scale) - wanted["scale"]) > FREQUENCY_ROOM:
        raise StageError(
            f"the imported base turns positions otherwise than Hugging Face's: frequencies off "
            f"by {error:.2%}, scale {float(scale):.6f} for {wanted['scale']:.6f}"
        )
    return {"rope_error": error}


def _logits(model: Any, ids: Any) -> Any:
    """(1, tokens, vocabulary) logits, on the GPU where there is one; the model comes back.

    Without a mask, as in training: Megatron's attention is causal by itself.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    count = ids.shape[1]
    model = model.to(device).eval()
    with torch.inference_mode():
        made = model(ids.to(device), torch.arange(count)[None].to(device), None).float().cpu()
    model.to("cpu")
    return made if made.shape[0] == 1 else made.transpose(0, 1)
