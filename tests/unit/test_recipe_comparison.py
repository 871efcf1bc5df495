"""What `recipe check` says of the lanes beside each other."""

from __future__ import annotations

from typing import Any

import pytest

from runners.payload.make_tiny import SIZES
from runners.recipe.check import check_recipe
from runners.recipe.comparison import adapter_parameters, compare, refusal
from runners.recipe.demo import demo_recipe_path
from runners.recipe.model import Recipe

QWEN3_8B = {
    "num_hidden_layers": 36,
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 12288,
}


def recipe(**tables: Any) -> Recipe:
    return Recipe.model_validate({"data": {"path": "/rows"}} | tables)


@pytest.mark.parametrize(
    ("config", "changes", "count"),
    [
        pytest.param(QWEN3_8B, {}, 15_335_424, id="the article's adapter on the article's base"),
        pytest.param(
            QWEN3_8B, {"targets": ["gate_proj", "down_proj"]}, 18_874_368, id="of the MLP"
        ),
        pytest.param(SIZES, {}, 28_672, id="the tiny model"),
        pytest.param(QWEN3_8B, {"targets": ["c_attn"]}, None, id="a layer of another family"),
        pytest.param(QWEN3_8B | {"num_experts": 8}, {}, 15_335_424, id="experts left alone"),
        pytest.param(
            QWEN3_8B | {"num_experts": 8}, {"targets": ["up_proj"]}, None, id="an MLP of experts"
        ),
        pytest.param({"hidden_size": 4096}, {}, None, id="a config that says too little"),
        pytest.param(None, {}, None, id="no base here"),
    ],
)
def test_the_adapters_size_is_known_from_the_base(
    config: dict[str, Any] | None, changes: dict[str, Any], count: int | None
) -> None:
    assert adapter_parameters(recipe(lora=changes), config) == count


def differs(**tables: Any) -> str:
    return "\n".join(compare(recipe(**tables), None).differs["unsloth"])


def test_the_articles_recipe_keeps_its_fused_kernels_with_dropout() -> None:
    said = differs()
    assert "fused LoRA kernels: qkv, o, with dropout 0.05" in said
    assert "4 bits" not in said


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({"train": {"precision": "fp32"}}, "none, because the base is float32"),
        ({"lanes": {"unsloth": {"fused_lora": False}}}, "none, because lanes.unsloth.fused_lora"),
        ({"lanes": {"unsloth": {"load_in_4bit": True}}}, "merge goes into the 16-bit base"),
        ({"lora": {"targets": ["q_proj", "o_proj"]}}, "o, with dropout 0.05; no fused kernel for"),
    ],
)
def test_what_a_recipe_changes_is_said(tables: dict[str, Any], says: str) -> None:
    assert says in differs(**tables)


def test_on_a_cpu_nothing_differs() -> None:
    assert differs(lanes={"unsloth": {"device": "cpu"}}) == ""


def test_the_schedule_is_told_in_iterations() -> None:
    (said,) = [line for line in compare(recipe(), None).alike if "AdamW" in line]
    assert "cosine from 0.0001 after 32 of 625 iterations" in said


def test_a_check_tells_it_as_text_and_as_json() -> None:
    report = check_recipe(demo_recipe_path())
    assert any("28,672 parameters" in line for line in report.lines())
    assert any(line.startswith("unsloth   differs: ") for line in report.lines())
    lanes = report.to_json()["lanes"]
    assert lanes["alike"]
    assert lanes["differs"]["unsloth"]
    assert check_recipe(demo_recipe_path().with_name("none.toml")).to_json()["lanes"] is None


def test_what_unsloth_trains_without_an_adapter_is_refused() -> None:
    head = recipe(lora={"targets": ["q_proj", "lm_head"]})
    assert "trains lm_head whole" in str(refusal(head, "unsloth"))
    assert "cannot train this recipe" in "\n".join(compare(head, None).differs["unsloth"])
    assert refusal(recipe(), "unsloth") is None
