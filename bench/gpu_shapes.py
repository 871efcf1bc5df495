"""Random Qwen3 models with YARN rope in real sizes, what to train them on, and what that costs."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parents[1] / "runners" / "recipe" / "demo" / "corpus.jsonl"
VOCABULARY = 151_936
"""Qwen3's own, so that the loss has its true width."""
SEED = 3407


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of one model."""

    layers: int
    hidden: int
    heads: int
    key_value_heads: int
    inner: int
    head_size: int = 128
    vocabulary: int = VOCABULARY

    def config(self) -> dict[str, Any]:
        """The same in the words of config.json."""
        return {
            "vocab_size": self.vocabulary,
            "num_hidden_layers": self.layers,
            "hidden_size": self.hidden,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.key_value_heads,
            "intermediate_size": self.inner,
            "head_dim": self.head_size,
            "max_position_embeddings": 131_072,
            "tie_word_embeddings": False,
            "bos_token_id": None,
            "eos_token_id": 1,
            "pad_token_id": 0,
            "rope_parameters": {
                "rope_type": "yarn",
                "factor": 4.0,
                "original_max_position_embeddings": 32_768,
                "rope_theta": 1_000_000.0,
            },
        }

    def multiplied(self) -> int:
        """Weights that a token is multiplied by: all but the embedding, which is looked up."""
        attention = self.hidden * self.head_size * (2 * self.heads + 2 * self.key_value_heads)
        return (
            self.layers * (attention + 3 * self.hidden * self.inner) + self.hidden * self.vocabulary
        )

    def flops_per_token(self, sequence: int) -> float:
        """Operations that training an adapter needs for each token of a causal *sequence*.

        Forward, and backward through the activations; the frozen weights get no gradient. What
        checkpointing computes a second time does not count. A position attends to half the
        sequence on average.
        """
        attended = 12 * self.layers * self.heads * self.head_size * (sequence / 2)
        return 4.0 * self.multiplied() + attended


SHAPES = {
    "tiny": Shape(
        layers=2, hidden=128, heads=4, key_value_heads=2, inner=256, head_size=32, vocabulary=1024
    ),
    "0.75b": Shape(layers=28, hidden=1024, heads=16, key_value_heads=8, inner=3072),
    "8b": Shape(layers=36, hidden=4096, heads=32, key_value_heads=8, inner=12288),
}


def make_base(shape: Shape, folder: Path, corpus: Path) -> None:
    """Write a random model of *shape* and a tokenizer into *folder*, in bf16, made on the GPU."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from runners.payload.tiny_tokenizer import make_tiny_tokenizer

    folder.mkdir(parents=True)
    make_tiny_tokenizer(corpus, folder)
    torch.manual_seed(SEED)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = Qwen3ForCausalLM(Qwen3Config(**shape.config()))
    model.save_pretrained(folder)


def make_rows(
    data: Path, *, iterations: int, batch: int, least: int, most: int, vocabulary: int
) -> int:
    """Write what `prepare` would: random ids, and each row once. Returns the tokens in all."""
    draw = random.Random(SEED)
    count, tokens = iterations * batch, 0
    with (data / "train.jsonl").open("w") as stream:
        for _ in range(count):
            length = draw.randint(least, most)
            ids = [draw.randrange(300, vocabulary) for _ in range(length)]
            stream.write(json.dumps({"ids": ids, "mask": [0] * 32 + [1] * (length - 32)}) + "\n")
            tokens += length
    (data / "order.json").write_text(json.dumps({"order": [*range(count)], "longest": [0]}))
    return tokens


def recipe(
    *,
    iterations: int,
    save_interval: int,
    accumulation: int,
    sequence: int,
    four_bits: bool = False,
    fused: bool = True,
    **_: Any,
) -> dict[str, Any]:
    """The article's recipe, with these changes."""
    return {
        "model": {"path": "random", "sequence_length": sequence},
        "data": {"path": str(CORPUS), "eval_interval": 0},
        "lora": {
            "rank": 16,
            "alpha": 32.0,
            "dropout": 0.05,
            "targets": ["q_proj", "k_proj", "v_proj", "o_proj"],
        },
        "train": {
            "iterations": iterations,
            "save_interval": save_interval,
            "micro_batch": 2,
            "accumulation": accumulation,
            "lr": 1e-4,
            "schedule": "cosine",
            "warmup": 0.05,
            "precision": "bf16",
            "seed": 3407,
            "keep_last": 0,
            "report_to": [],
        },
        "lanes": {"unsloth": {"load_in_4bit": four_bits, "fused_lora": fused}},
    }


def rows(settings: dict[str, Any]) -> dict[str, int]:
    """How many rows these settings need, and how long they are."""
    batch, most = 2 * settings["accumulation"], settings["sequence"]
    shared = {"iterations": settings["iterations"], "batch": batch, "most": most}
    return shared | {
        "least": settings.get("least", most),
        "vocabulary": settings["vocabulary"],
    }
