"""Megatron-Bridge as this lane uses it: one process, one GPU, its Python API alone.

The rule: nothing is taken from its recipes or command lines, and nothing is fetched from a hub.
"""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from megatron.bridge import AutoBridge

from .nemo_imports import bridge_versions, installed, layer_kind
from .nemo_yarn import fill_yarn

_LOCAL_LAYERS: Mapping[str, Any] = {
    "transformer_impl": "local",
    "gradient_accumulation_fusion": False,
    "masked_softmax_fusion": False,
    "persist_layer_norm": False,
    "apply_rope_fusion": False,
    "bias_dropout_fusion": False,
    "bias_activation_fusion": False,
    "cross_entropy_loss_fusion": False,
    "recompute_granularity": "selective",
    "recompute_modules": ["core_attn"],
}
"""Without Transformer Engine: Megatron's own layers, and no kernel that needs it or apex. Their
attention makes the whole matrix, 2 GiB a layer at 8 B and rows of 4096: it is made a second time
for the way back instead of being kept, which changes no number."""


def versions() -> dict[str, str]:
    """What a result depends on."""
    return bridge_versions() | {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "transformers": str(transformers.__version__),
        "transformer-engine": installed("transformer-engine", "transformer_engine") or "none",
    }


def be_alone() -> None:
    """Tell torch.distributed that this process is all of them, on a port that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ.update(
        RANK="0",
        WORLD_SIZE="1",
        LOCAL_RANK="0",
        LOCAL_WORLD_SIZE="1",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        CUDA_DEVICE_MAX_CONNECTIONS="1",
    )
    for name in ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NODELIST"):
        os.environ.pop(name, None)  # Megatron-Bridge believes these before RANK


def open_bridge(base: Path) -> Any:
    """The bridge between the Hugging Face folder *base* and Megatron."""
    return AutoBridge.from_hf_pretrained(str(base))


def provider_of(bridge: Any, yarn: Mapping[str, Any], *, load_weights: bool) -> Any:
    """What makes the Megatron model of *bridge*, its rope mended, on one GPU."""
    provider = bridge.to_megatron_provider(load_weights=load_weights)
    fill_yarn(provider, yarn)
    provider.tensor_model_parallel_size = 1
    provider.pipeline_model_parallel_size = 1
    provider.context_parallel_size = 1
    provider.sequence_parallel = False
    if layer_kind() == "local":
        _use_local_layers(provider)
    return provider


def _use_local_layers(provider: Any) -> None:
    from megatron.bridge.models.gpt_provider import local_layer_spec

    provider.transformer_layer_spec = local_layer_spec
    for name, value in _LOCAL_LAYERS.items():
        if hasattr(provider, name):
            setattr(provider, name, value)


def peak_bytes() -> int | None:
    """The most GPU memory this process has held; None where there is no GPU to ask."""
    return int(torch.cuda.max_memory_allocated()) or None
