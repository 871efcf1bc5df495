"""The heavy half of the merge: Megatron's base and adapter, written as Hugging Face has them.

On the CPU, in bf16: nothing is computed but a small product for each layer, and the GPU may be
another's. Megatron-Bridge's own merge script does not know CanonicalLoRA and takes two steps.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import torch
from megatron.bridge.peft.canonical_lora import CanonicalLoRA
from megatron.bridge.peft.lora import LoRA
from megatron.bridge.training.checkpointing import (
    _generate_model_state_dict,
    apply_peft_adapter_filter_to_state_dict,
)
from megatron.bridge.training.model_load_save import (
    load_megatron_model,
    temporary_distributed_context,
)
from megatron.bridge.training.utils.checkpoint_utils import read_run_config
from megatron.core import dist_checkpointing
from megatron.core.utils import unwrap_model

from .checkpoints import FOLDER
from .contract import StageError, say
from .exporting import Export
from .nemo_megatron import be_alone, open_bridge, peak_bytes, versions

_FIELDS = ("target_modules", "dim", "alpha", "dropout", "dropout_position")
"""What a checkpoint's run_config.yaml tells of its adapter."""


def merge_adapter(wanted: Export, base: Path) -> None:
    """Fill the folders of *wanted* from its checkpoint and the imported *base*.

    Raises StageError when the checkpoint does not hold the whole adapter.
    """
    contract = wanted.contract
    contract.facts["versions"] = versions()
    contract.heartbeat(phase="loading", done=0, total=wanted.tensors)
    be_alone()
    peft = _adapter_of(wanted.checkpoint)
    bridge = open_bridge(wanted.job.base)
    with temporary_distributed_context(backend="gloo"):
        model = _load_base(base)
        contract.raise_if_stopped()
        contract.heartbeat()
        model = peft(model, training=False)
        count = _load_adapter(model, peft, wanted.checkpoint)
        say(f"loaded {count} tensors of the adapter from {wanted.checkpoint}")
        contract.heartbeat(phase="saving")
        bridge.save_hf_adapter(
            model,
            str(wanted.adapter),
            peft,
            base_model_name_or_path=str(wanted.job.base),
            show_progress=False,
        )
        bridge.save_hf_pretrained(
            model,
            str(wanted.merged),
            source_path=str(wanted.job.base),
            merge_adapter_weights=True,
            # Else a file of which Megatron lacks one tensor is not written at all; what is
            # missing is looked at by `exporting`.
            strict=False,
            show_progress=False,
        )
    contract.heartbeat(done=wanted.tensors)
    contract.facts["peak_memory_bytes"] = peak_bytes()
    del model
    gc.collect()


def _adapter_of(checkpoint: Path) -> Any:
    """The adapter as the checkpoint itself describes it. Raises StageError."""
    told = read_run_config(str(checkpoint / "run_config.yaml")).get("peft") or {}
    kind = str(told.get("_target_", "")).rpartition(".")[2]
    kinds = {"CanonicalLoRA": CanonicalLoRA, "LoRA": LoRA}
    if kind not in kinds:
        raise StageError(f"{checkpoint / 'run_config.yaml'} tells of no LoRA that can be merged")
    return kinds[kind](**{name: told[name] for name in _FIELDS if name in told})


def _load_base(base: Path) -> list[Any]:
    """The imported base on the CPU, its weights in bf16 whatever the training used."""
    model = load_megatron_model(
        str(base / FOLDER.format(0)),
        use_cpu_init=True,
        skip_temp_dist_context=True,
        mp_overrides={"params_dtype": torch.bfloat16, "bf16": True, "fp16": False},
    )
    return model if isinstance(model, list) else [model]


def _load_adapter(model: list[Any], peft: Any, checkpoint: Path) -> int:
    """Load the adapter's tensors, all of them and no other; returns how many.

    Megatron wraps a model in bf16, and the wrapper's load_state_dict does not say what it missed.
    """
    inner = unwrap_model(model[0])
    wanted = apply_peft_adapter_filter_to_state_dict(_generate_model_state_dict([inner], {}), peft)
    for name, parameter in inner.named_parameters():
        if peft.adapter_key_filter(name):
            # The base is in bf16; an adapter that was trained in fp32 is merged as it is.
            parameter.data = parameter.data.float()
    loaded = dist_checkpointing.load(wanted, str(checkpoint))["model"]
    found = inner.load_state_dict(loaded, strict=False)
    adapter = {name for name, _ in inner.named_parameters() if peft.adapter_key_filter(name)}
    lost = sorted(adapter - loaded.keys())
    if lost or found.unexpected_keys or not adapter:
        raise StageError(
            f"{checkpoint} holds another adapter: {len(lost)} of {len(adapter)} tensors missing, "
            f"{len(found.unexpected_keys)} unknown {[*lost, *found.unexpected_keys][:2]}"
        )
    return len(adapter)
