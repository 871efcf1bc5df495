"""Make the demo's tokenizer from its own corpus: a small byte-level BPE with Qwen3's pipeline.

Standard library and `tokenizers` only; the same corpus always gives the same files. Normaliser
and splitting rule are Qwen2's own, because transformers rebuilds the tokenizer of a Qwen3 model
from that rule, and ids made from another would silently differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

VOCABULARY = 768
END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
THINK, END_THINK = "<think>", "</think>"

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The pre-tokenizer of Qwen2 and Qwen3 (transformers 5.17, models/qwen2/tokenization_qwen2.py)."""

CHAT_TEMPLATE = """\
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.role == 'assistant' %}
{%- generation %}
{%- if '</think>' in message.content and not loop.last %}
{{- message.content.split('</think>')[-1].lstrip('\\n') + '<|im_end|>' }}
{%- else %}
{{- message.content + '<|im_end|>' }}
{%- endif %}
{%- endgeneration %}
{%- else %}
{{- message.content + '<|im_end|>' }}
{%- endif %}
{{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
"""ChatML; like Qwen3's it keeps the reasoning of the last turn only."""


def make_tiny_tokenizer(corpus: Path, folder: Path) -> int:
    """Train on the texts of the JSON Lines file *corpus*, write into *folder*, return the size.

    Writes tokenizer.json, tokenizer_config.json and chat_template.jinja. The size is the number
    of ids, special tokens included. Raises OSError, and ValueError where no line is a JSON object.
    """
    from tokenizers import (  # here, so that importing this module costs nothing
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        trainers,
    )

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT, TURN_START, TURN_END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(corpus), trainer)
    # As in Qwen3: one id each, but not "special", so that decoding keeps them visible.
    tokenizer.add_tokens(
        [AddedToken(text, special=False, normalized=False) for text in (THINK, END_THINK)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    _write(folder / "tokenizer_config.json", json.dumps(_config(), indent=1))
    _write(folder / "chat_template.jinja", CHAT_TEMPLATE)
    return int(tokenizer.get_vocab_size())


def _config() -> dict[str, object]:
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": TURN_END,
        "model_max_length": 131072,
        "pad_token": END_OF_TEXT,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _texts(corpus: Path) -> Iterator[str]:
    """Yield every text in the rows of *corpus*, with the reasoning marks cut out."""
    found = False
    with corpus.open("rb") as stream:
        for line in stream:
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            found = found or isinstance(row, dict)
            for text in _strings(row):
                yield text.replace(THINK, "\n").replace(END_THINK, "\n")
    if not found:
        raise ValueError(f"{corpus} holds no row to make a tokenizer from")


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
