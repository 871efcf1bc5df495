"""The demo that comes with lanewatch: a recipe and a corpus written for it."""

from __future__ import annotations

from pathlib import Path


def demo_recipe_path() -> Path:
    """Return the demo's recipe file, in a checkout and in an installed wheel alike."""
    return Path(__file__).with_name("demo.toml")


def demo_corpus_path() -> Path:
    """Return the demo's rows."""
    return Path(__file__).with_name("corpus.jsonl")
