"""The `fetch` stage of the built-in base `tiny-random-qwen3`: make it instead of downloading it.

The rule: the same corpus and sizes always give the same files, and a folder that is whole and was
made from them is left alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .causes import StageError
from .contract import Contract, end_process, run_stage, say
from .files import encode, read_object
from .folders import begin_folder, put_in_place
from .job import read_job
from .lane_packages import enter
from .tiny_tokenizer import make_tiny_tokenizer

MARKER = "lanewatch-tiny.json"
WHOLE = ("config.json", "model.safetensors", "tokenizer.json", MARKER)
SEED = 3407
LAYERS, HIDDEN, HEADS, KEY_VALUE_HEADS, HEAD_SIZE, INNER = 2, 128, 4, 2, 32, 256
SIZES = {
    "num_hidden_layers": LAYERS,
    "hidden_size": HIDDEN,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KEY_VALUE_HEADS,
    "head_dim": HEAD_SIZE,
    "intermediate_size": INNER,
}
"""The same in the words of config.json."""

YARN_FACTOR = 4
LEAST_POSITIONS = 1024
VOCABULARY_STEP = 64
"""The vocabulary is rounded up to a multiple of this, as real models' are."""

_VERSION = 1
"""Raise it when the same inputs are to give another model."""


def main(contract: Contract) -> Mapping[str, Any]:
    """Make the base folder of the job unless it is there already."""
    contract.heartbeat(unit="tensors", done=0)
    job = read_job(contract)
    corpus = Path(str(job.table("data")["path"]))
    positions = _positions(int(job.table("model").get("sequence_length", LEAST_POSITIONS)))
    inputs = _inputs_hash(corpus, positions)
    if is_whole(job.base, inputs):
        say(f"the base is there already: {job.base}")
        return {"made": False, "base": str(job.base)}
    contract.raise_on_stop = True
    enter(job.work)
    temporary = begin_folder(job.base)
    try:
        vocabulary = make_tiny_tokenizer(corpus, temporary)
    except ValueError as error:
        raise StageError(f"bad data: {error}") from error
    tensors = _make_model(contract, temporary, vocabulary, positions)
    (temporary / MARKER).write_bytes(encode({"schema": 1, "inputs": inputs}))
    contract.raise_on_stop = False
    put_in_place(temporary, job.base)
    say(f"made {tensors} tensors and a tokenizer of {vocabulary} tokens: {job.base}")
    return {"made": True, "base": str(job.base), "tensors": tensors, "vocabulary": vocabulary}


def is_whole(folder: Path, inputs: str) -> bool:
    """Tell whether *folder* holds the finished base made from *inputs* (a hash)."""
    marker = read_object(folder / MARKER) or {}
    return marker.get("inputs") == inputs and all((folder / name).is_file() for name in WHOLE)


def _positions(sequence_length: int) -> int:
    """Positions the model knows: the recipe's length, up to a multiple of the YARN factor."""
    rounded = -(-sequence_length // YARN_FACTOR) * YARN_FACTOR
    return max(LEAST_POSITIONS, rounded)


def _inputs_hash(corpus: Path, positions: int) -> str:
    try:
        digest = hashlib.sha256(corpus.read_bytes())
    except OSError as error:
        raise StageError(f"the corpus cannot be read: {corpus}: {error.strerror}") from error
    sizes = [LAYERS, HIDDEN, HEADS, KEY_VALUE_HEADS, HEAD_SIZE, INNER, positions, SEED, _VERSION]
    digest.update(json.dumps(sizes).encode())
    return digest.hexdigest()


def _make_model(contract: Contract, folder: Path, vocabulary: int, positions: int) -> int:
    """Write a seeded random Qwen3 into *folder*; return its number of tensors."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM
    from transformers.utils import logging

    contract.heartbeat()
    logging.disable_progress_bar()
    torch.manual_seed(SEED)
    config = Qwen3Config(**_config(folder, vocabulary, positions))
    model = Qwen3ForCausalLM(config).to(torch.bfloat16)
    total = len(model.state_dict())
    contract.heartbeat(phase="saving", done=0, total=total)
    model.save_pretrained(folder)
    contract.heartbeat(done=total)
    return total


def _config(folder: Path, vocabulary: int, positions: int) -> dict[str, Any]:
    ids = _special_ids(folder)
    return {
        "vocab_size": -(-vocabulary // VOCABULARY_STEP) * VOCABULARY_STEP,
        **SIZES,
        "max_position_embeddings": positions,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": ids.get("eos_token"),
        "pad_token_id": ids.get("pad_token"),
        "rope_parameters": {
            "rope_type": "yarn",
            "factor": float(YARN_FACTOR),
            "original_max_position_embeddings": positions // YARN_FACTOR,
            "rope_theta": 1_000_000.0,
        },
    }


def _special_ids(folder: Path) -> dict[str, int]:
    """The ids of the end and padding tokens, as the tokenizer's own files give them."""
    names = read_object(folder / "tokenizer_config.json") or {}
    tokens = (read_object(folder / "tokenizer.json") or {}).get("added_tokens") or []
    ids = {each["content"]: int(each["id"]) for each in tokens}
    return {key: ids[names[key]] for key in ("eos_token", "pad_token") if names.get(key) in ids}


if __name__ == "__main__":
    end_process(run_stage(main))
