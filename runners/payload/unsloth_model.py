"""Load the model of the `unsloth` lane. Unsloth is imported before all that it changes."""

from __future__ import annotations

import unsloth  # isort: split

import contextlib
import types
from typing import Any

import torch
import transformers

from .contract import StageError, say
from .hf_model import gaps_refused, require_base, require_targets
from .job import Job
from .unsloth_paths import fast_path


def device() -> str:
    """Where Unsloth trains: "cuda" or "cpu", as it found out when it was imported."""
    return "cpu" if unsloth.DEVICE_TYPE == "cpu" else "cuda"


def load_for_training(job: Job) -> tuple[Any, Any]:
    """The base with a fresh adapter, seeded, and its tokenizer.

    Raises StageError when the recipe does not fit the base, or asks for 4 bits in vain.
    """
    require_base(job.base)
    seed = int(job.table("train")["seed"])
    transformers.set_seed(seed)
    model, tokenizer = _load(job)
    lora = job.table("lora")
    try:
        model = unsloth.FastLanguageModel.get_peft_model(
            model,
            r=int(lora["rank"]),
            lora_alpha=float(lora["alpha"]),
            lora_dropout=float(lora["dropout"]),
            target_modules=list(lora["targets"]),
            bias="none",
            use_gradient_checkpointing=_checkpointing(),
            random_state=seed,
            max_seq_length=_length(job),
        )
    except ValueError as error:
        raise StageError(f"lora.targets does not fit the model {job.base}: {error}") from error
    require_targets(model, list(lora["targets"]), job.base)
    if not job.lane("unsloth").get("fused_lora", True):
        _unfuse(model)
    return model, tokenizer


def _load(job: Job) -> tuple[Any, Any]:
    four_bits = bool(job.lane("unsloth").get("load_in_4bit", False))
    bf16 = str(job.table("train")["precision"]) == "bf16"
    # Quantised, a base is not loaded tensor by tensor, and what is said of gaps is not sure.
    whole = contextlib.nullcontext() if four_bits else gaps_refused(f"the base model in {job.base}")
    with whole:
        model, tokenizer = unsloth.FastLanguageModel.from_pretrained(
            model_name=str(job.base),
            max_seq_length=_length(job),
            dtype=torch.bfloat16 if bf16 else torch.float32,
            # Both are said: what is not said is 4 bits.
            load_in_4bit=four_bits,
            load_in_16bit=not four_bits,
            use_gradient_checkpointing=_checkpointing(),
            random_state=int(job.table("train")["seed"]),
            local_files_only=True,
        )
    if four_bits and getattr(model.config, "quantization_config", None) is None:
        raise StageError(
            "lanes.unsloth.load_in_4bit is true, but the base could not be quantised here: "
            "bitsandbytes does not work on this device"
        )
    model.config.use_cache = False
    return model, tokenizer


def _checkpointing() -> str | bool:
    """Unsloth's own on a GPU; on a CPU memory is not what is short, as in the reference lane."""
    return "unsloth" if device() == "cuda" else False


def _length(job: Job) -> int:
    return int(job.table("model")["sequence_length"])


def fast_path_of(model: Any, job: Job) -> dict[str, Any]:
    """Which fused kernels *model* really got and why not more; a line of the log says the same."""
    found = fast_path(fused_groups(model), job.recipe, device=device())
    why = f" ({found['reason']})" if found["reason"] else ""
    say(f"fused LoRA kernels: {', '.join(found['fused']) or 'none'}{why}")
    return found


def fused_groups(model: Any) -> set[str]:
    """The groups of layers (see `unsloth_paths.GROUPS`) that run Unsloth's fused LoRA kernels."""
    found = set()
    for module in model.modules():
        for name, group in (("apply_qkv", "qkv"), ("apply_o", "o"), ("forward", "mlp")):
            # On the instance alone: a class's own forward is no patch.
            patch = vars(module).get(name)
            if getattr(patch, "__name__", "").startswith("apply_lora_"):
                found.add(group)
    return found


def _unfuse(model: Any) -> None:
    """Let peft's own forward run: with no dropout Unsloth has no switch for it."""
    if not fused_groups(model):
        return
    from unsloth.models.llama import original_apply_o, original_apply_qkv

    plain = {"apply_qkv": original_apply_qkv, "apply_o": original_apply_o}
    for module in model.modules():
        own = vars(module)
        for name, original in plain.items():
            if name in own:
                setattr(module, name, original)
        if isinstance(own.get("forward"), types.MethodType) and own["forward"].__name__.startswith(
            "apply_lora_"
        ):
            del module.forward
