"""What a run will take of memory at most, before it has taken any. Pure.

For one GPU, a frozen base and a LoRA, at full-length rows:

    weights      P x b                         b: 2 bytes in bf16, 4 in fp32, 0.6 in 4 bits
    adapter      T x 16                        weight, gradient and two moments of Adam, fp32 each
    activations  L x t x a                     a: bytes a token leaves in a layer for the way back
    logits       t x V x (b + 12)              logits, their fp32 copy, log-softmax, gradient
    loading      the largest file of the base  while its tensors are copied to where they stay
    overhead     libraries, CUDA context       measured, per lane

and after it P x 2 + loading + libraries for the merge, which is made in the machine's own memory;
with P base and T trainable parameters, L layers, V vocabulary, t = micro_batch x sequence_length.
Where activations are recomputed (gradient checkpointing) a layer keeps only its input (h x b); the
one layer that is recomputed comes after the logits are gone, so the larger of the two counts.

Sources: the 16 bytes are those of Rajbhandari et al., ZeRO (2020), section 3.1, for Adam in fp32;
`a` follows Korthikanti et al., Reducing Activation Recomputation in Large Transformer Models
(2022), section 4.1, term by term for a gated MLP, RMSNorm and an attention that keeps no matrix
(their 5as/h falls away), without what a frozen layer need not keep and with what the adapters keep.
Held against real peaks (docs/doctor.md): 4 to 12 % above those of the `reference` lane on a CPU,
4 to 13 % above a plain transformers training of 0.7 to 8 B on an H200. Of the lanes on a GPU what
PyTorch allocated is known: the estimates are 11 to 30 % above it, cache and context included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runners.doctor.base_shape import BYTES, BaseShape

MIB, GIB = 1 << 20, 1 << 30
ADAM_BYTES = 16
LOSS_BYTES = 12
MERGE_BYTES = 2
"""The merge holds the base in bf16, in the machine's own memory."""
FOUR_BIT_BYTES = 0.6
"""NF4 with its scales, and the layers that stay in 16 bits."""
SLACK = 1.1
"""Of what depends on the rows: an allocator keeps more than it gives out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneCosts:
    """How a lane spends memory."""

    recomputes: bool
    chunked_loss: bool = False
    """Logits never exist as a whole."""
    megatron: bool = False
    """Megatron's layers: 16 bits kept, a fused gate, keys and values for their own heads alone."""
    host_bytes: int
    """Libraries and buffers in the machine's memory."""
    device_bytes: int = 0
    """The driver's context, kernels and workspaces on the GPU."""


CPU = LaneCosts(recomputes=False, host_bytes=400 * MIB)
"""The reference lane on a CPU: 330 to 381 MiB were measured for a model of half a million."""

GPU = {
    "reference": LaneCosts(recomputes=True, host_bytes=3 * GIB, device_bytes=1536 * MIB),
    "unsloth": LaneCosts(
        recomputes=True, chunked_loss=True, host_bytes=4 * GIB, device_bytes=1536 * MIB
    ),
    "nemo": LaneCosts(recomputes=False, megatron=True, host_bytes=5 * GIB, device_bytes=2 * GIB),
}
CHUNK_TOKENS = 1024
"""Of a chunked loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """Bytes at the peak. On a machine whose GPU shares its memory both come out of one pool."""

    host_bytes: int
    device_bytes: int
    merge_bytes: int
    """Of the host, by the stage that merges, when the training is over."""
    parts: Mapping[str, int]
    """What it is made of, by the names above."""

    @property
    def total_bytes(self) -> int:
        """Of a unified machine, or of a CPU."""
        return max(self.host_bytes + self.device_bytes, self.merge_bytes)

    def of_machine(self, *, unified: bool) -> int:
        """What it takes of the machine's own memory."""
        return self.total_bytes if unified else max(self.host_bytes, self.merge_bytes)

    def machine_parts(self, *, unified: bool) -> Mapping[str, int]:
        """What `of_machine` is made of."""
        need = self.of_machine(unified=unified)
        if need == self.merge_bytes:
            return {"merge": need}
        if unified or not self.device_bytes:
            return self.parts
        loading = self.parts["loading"]
        return {"overhead": self.host_bytes - loading, "loading": loading}


def estimate(
    shape: BaseShape,
    recipe: Mapping[str, Any],
    lane: str,
    *,
    on_gpu: bool,
    largest_file_bytes: int | None = None,
    longest_row: int | None = None,
) -> MemoryEstimate:
    """Estimate the train stage's peak.

    *recipe* is a dumped Recipe; *largest_file_bytes* the base's largest file, None: a tenth of its
    weights; *longest_row* in tokens, None: rows are as long as the recipe allows.
    """
    costs = GPU.get(lane, GPU["reference"]) if on_gpu else CPU
    train, lora = recipe["train"], recipe["lora"]
    width = BYTES[train["precision"]]
    length = recipe["model"]["sequence_length"]
    tokens = train["micro_batch"] * min(length, longest_row or length)
    weights = int(shape.parameters * _weight_bytes(recipe, lane, width))
    trainable = shape.adapter_parameters(
        lora["rank"], lora["targets"], fused=_is_fused(recipe, lane)
    )
    layer = layer_bytes(shape, width, lora["targets"], megatron=costs.megatron)
    kept = shape.hidden * width if costs.recomputes else layer
    parts = {
        "weights": weights,
        "adapter": trainable * ADAM_BYTES,
        "activations": int(SLACK * tokens * shape.layers * kept),
        "logits": int(SLACK * _logits(shape, tokens, width, costs)),
        "recomputed": int(SLACK * tokens * layer) if costs.recomputes else 0,
        "loading": largest_file_bytes or weights // 10,
        "overhead": costs.host_bytes + costs.device_bytes,
    }
    merge = CPU.host_bytes + MERGE_BYTES * shape.parameters + parts["loading"]
    working = parts["adapter"] + parts["activations"] + max(parts["logits"], parts["recomputed"])
    if not on_gpu:
        peak = costs.host_bytes + weights + max(working, parts["loading"])
        return MemoryEstimate(host_bytes=peak, device_bytes=0, merge_bytes=merge, parts=parts)
    return MemoryEstimate(
        host_bytes=costs.host_bytes + parts["loading"],
        device_bytes=costs.device_bytes + weights + working,
        merge_bytes=merge,
        parts=parts,
    )


def _weight_bytes(recipe: Mapping[str, Any], lane: str, width: int) -> float:
    four_bit = lane == "unsloth" and recipe["lanes"]["unsloth"].get("load_in_4bit") is True
    return FOUR_BIT_BYTES if four_bit else width


def _is_fused(recipe: Mapping[str, Any], lane: str) -> bool:
    return lane == "nemo" and recipe["lanes"]["nemo"].get("lora") == "fused"


def layer_bytes(
    shape: BaseShape, width: int, targets: Sequence[str], *, megatron: bool = False
) -> int:
    """`a`: what one token leaves in one layer for the way back."""
    if megatron:
        kept, keys, inner = width, shape.keys, 2 * shape.inner
        adapter = width + 1  # after dropout, and its mask: before it is the norm's output
    else:
        # Norms and adapters compute in fp32, keys and values are repeated for each query head.
        kept, keys, inner = 4, shape.queries, 3 * shape.inner
        adapter = 2 * kept + 1
    norms = (2 * shape.hidden + shape.queries + shape.keys) * (kept + width)
    attention = 2 * (shape.queries + keys) * width
    mlp = inner * width
    inputs = {"o_proj": shape.queries, "down_proj": shape.inner}
    adapters = sum(adapter * inputs.get(name, shape.hidden) for name in targets)
    return norms + attention + mlp + adapters


def _logits(shape: BaseShape, tokens: int, width: int, costs: LaneCosts) -> int:
    seen = min(tokens, CHUNK_TOKENS) if costs.chunked_loss else tokens
    return seen * shape.vocabulary * (width + LOSS_BYTES)
