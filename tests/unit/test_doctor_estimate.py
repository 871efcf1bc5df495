"""What a run takes of memory: exact counts of weights, and peaks that were measured."""

from __future__ import annotations

from typing import Any

import pytest
from examined import QWEN3_8B, recipe

from runners.doctor.base_shape import BaseShape, shape_from
from runners.doctor.memory_estimate import estimate

MIB = 1 << 20
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]


def test_the_weights_of_a_real_model_are_counted_exactly() -> None:
    assert QWEN3_8B.parameters == 8_190_735_360


@pytest.mark.parametrize(
    ("fused", "trainable"),
    [
        pytest.param(False, 15_335_424, id="three As, as peft has them"),
        pytest.param(True, 10_616_832, id="one A, as Megatron's fused LoRA has it"),
    ],
)
def test_the_weights_of_an_adapter(fused: bool, trainable: int) -> None:
    assert QWEN3_8B.adapter_parameters(16, ATTENTION, fused=fused) == trainable


def test_an_adapter_on_the_mlp_counts_too_and_an_unknown_layer_does_not() -> None:
    mlp = QWEN3_8B.adapter_parameters(8, ["gate_proj", "up_proj", "down_proj", "lm_head"])
    assert mlp == 36 * 8 * 3 * (4096 + 12288)


def shape(*sizes: int) -> BaseShape:
    hidden, layers, heads, kv_heads, head_size, inner, vocabulary = sizes
    return BaseShape(
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        inner=inner,
        vocabulary=vocabulary,
    )


def batch(rows: int, length: int, precision: str) -> dict[str, Any]:
    train = {"micro_batch": rows, "precision": precision}
    return recipe(train=train, model={"sequence_length": length})


@pytest.mark.parametrize(
    ("sizes", "rows", "length", "precision", "measured_mib"),
    [
        pytest.param((256, 4, 4, 2, 64, 768, 8000), 2, 256, "fp32", 534, id="7 M, fp32"),
        pytest.param((512, 8, 8, 4, 64, 1536, 16000), 2, 512, "bf16", 1048, id="42 M, bf16"),
        pytest.param((512, 8, 8, 4, 64, 1536, 16000), 2, 512, "fp32", 1284, id="42 M, fp32"),
        pytest.param((512, 8, 8, 4, 64, 1536, 32000), 2, 1024, "bf16", 1966, id="58 M, long rows"),
        pytest.param((1024, 6, 16, 8, 64, 3072, 8000), 1, 1024, "bf16", 1199, id="92 M, one row"),
    ],
)
def test_peaks_of_the_reference_lane_on_a_cpu(
    sizes: tuple[int, ...], rows: int, length: int, precision: str, measured_mib: int
) -> None:
    """Peak resident memory of two iterations, torch 2.13.0, transformers 5.17.0, peft 0.21.2."""
    found = estimate(shape(*sizes), batch(rows, length, precision), "reference", on_gpu=False)
    assert 1.0 <= found.total_bytes / (measured_mib * MIB) <= 1.15


@pytest.mark.parametrize(
    ("sizes", "length", "measured_mib"),
    [
        pytest.param((1024, 28, 16, 8, 128, 3072, 151936), 512, 5098, id="0.75 B, 512 tokens"),
        pytest.param((1024, 28, 16, 8, 128, 3072, 151936), 2048, 11006, id="0.75 B, 2048 tokens"),
        pytest.param((4096, 12, 32, 8, 128, 12288, 151936), 4096, 26052, id="3.6 B, 4096 tokens"),
        pytest.param((4096, 36, 32, 8, 128, 12288, 151936), 4096, 36710, id="8.2 B, 4096 tokens"),
    ],
)
def test_peaks_of_plain_transformers_on_a_gpu(
    sizes: tuple[int, ...], length: int, measured_mib: int
) -> None:
    """Memory in use on an H200 after three iterations with checkpointing, two rows each."""
    found = estimate(shape(*sizes), batch(2, length, "bf16"), "reference", on_gpu=True)
    assert 1.0 <= found.device_bytes / (measured_mib * MIB) <= 1.2


@pytest.mark.parametrize(
    ("lane", "allocated_gib"), [("reference", 31.84), ("unsloth", 17.18), ("nemo", 78.52)]
)
def test_each_lane_needs_more_than_pytorch_allocated(lane: str, allocated_gib: float) -> None:
    """8.2 B at 2 x 4096 on an H200 (bench/results/gpu-*-hand.json); in use is more than that."""
    found = estimate(QWEN3_8B, batch(2, 4096, "bf16"), lane, on_gpu=True)
    assert 1.0 <= found.device_bytes / (allocated_gib * 1024 * MIB) <= 1.4


def test_the_longest_row_bounds_it_and_a_limit_shorter_than_that_too() -> None:
    def total(**given: Any) -> int:
        return estimate(
            QWEN3_8B, batch(2, 4096, "bf16"), "unsloth", on_gpu=True, **given
        ).total_bytes

    assert total(longest_row=1000) < total(longest_row=4096) == total(longest_row=9999) == total()


def test_four_bits_take_less_of_the_unsloth_lane_alone() -> None:
    four = recipe(lanes={"unsloth": {"load_in_4bit": True}})
    wide = estimate(QWEN3_8B, recipe(), "unsloth", on_gpu=True)
    assert estimate(QWEN3_8B, four, "unsloth", on_gpu=True).parts["weights"] < (
        wide.parts["weights"] / 3
    )
    assert estimate(QWEN3_8B, four, "nemo", on_gpu=True).parts["weights"] == wide.parts["weights"]


def test_on_a_shared_memory_both_parts_count_and_on_a_gpu_of_its_own_the_hosts() -> None:
    found = estimate(QWEN3_8B, recipe(), "nemo", on_gpu=True)
    assert found.of_machine(unified=True) == found.host_bytes + found.device_bytes
    assert found.of_machine(unified=False) == max(found.host_bytes, found.merge_bytes)


@pytest.mark.parametrize(
    ("base", "named"),
    [(QWEN3_8B, "merge"), (shape(64, 2, 4, 2, 16, 128, 640), "overhead")],
)
def test_the_parts_that_are_told_are_those_of_the_memory_that_is_meant(
    base: BaseShape, named: str
) -> None:
    found = estimate(base, recipe(), "nemo", on_gpu=True)
    parts = found.machine_parts(unified=False)
    assert sum(parts.values()) == found.of_machine(unified=False)
    assert max(parts, key=lambda name: parts[name]) == named
    assert "weights" in found.machine_parts(unified=True)


def test_the_merge_needs_the_base_in_the_machines_own_memory() -> None:
    found = estimate(QWEN3_8B, recipe(), "unsloth", on_gpu=True)
    assert found.merge_bytes > 2 * QWEN3_8B.parameters
    assert found.host_bytes < found.merge_bytes < found.total_bytes


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({}, id="empty"),
        pytest.param({"hidden_size": 64, "num_hidden_layers": 2}, id="half of it"),
        pytest.param(
            {
                "hidden_size": "64",
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "intermediate_size": 128,
                "vocab_size": 640,
            },
            id="a size that is no number",
        ),
    ],
)
def test_a_configuration_without_sizes_gives_no_shape(config: dict[str, Any]) -> None:
    assert shape_from(config) is None
