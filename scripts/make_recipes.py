"""Write the recipes that come with lanewatch from the recipe model; a test compares them.

python scripts/make_recipes.py
"""

from __future__ import annotations

from pathlib import Path

from runners.recipe.template import render_template

ROOT = Path(__file__).resolve().parent.parent

DEMO_HEAD = (
    "The demo: a real LoRA fine-tune of a tiny random Qwen3 (YARN rope) on the CPU, one thread. "
    "It measures a few steps, then chooses its iterations for about a minute."
)
DEMO = {
    "model.path": "tiny-random-qwen3",
    "model.sequence_length": 512,
    "train.iterations": "auto",
    "train.accumulation": 4,
    "train.lr": 1e-3,
    "train.precision": "fp32",
    "lanes.reference.device": "cpu",
}
ARTICLE = {
    "data.path": "v3_full_5000.train.jsonl",
    "data.forbidden_phrases": ["metes-and-times", "2163.05(s)"],
}


def recipes() -> dict[Path, str]:
    """Return the text of each recipe by its place in the checkout."""
    return {
        Path("runners/recipe/demo/demo.toml"): render_template(
            {**DEMO, "data.path": "corpus.jsonl"}, head=DEMO_HEAD
        ),
        Path("recipes/demo.toml"): render_template(
            {**DEMO, "data.path": "../runners/recipe/demo/corpus.jsonl"}, head=DEMO_HEAD
        ),
        Path("recipes/patent-strategist.toml"): render_template(ARTICLE),
    }


def main() -> None:
    """Write them all."""
    for path, text in recipes().items():
        (ROOT / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
