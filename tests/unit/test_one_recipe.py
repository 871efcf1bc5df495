"""One recipe: what `prepare` makes is what each lane's model is asked, token by token.

With a tokenizer that begins every text and one that does not, and with a template of the R1 family,
which deletes the reasoning from whatever it renders.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from runners.payload.rows import Row
from runners.payload.tiny_tokenizer import make_tiny_tokenizer
from runners.prepare.tokens import RowTokenizer, Tokens
from runners.recipe.data import parse_row
from runners.recipe.demo import demo_corpus_path

pytest.importorskip("torch")

R1 = """\
{{- bos_token }}
{%- for message in messages %}
{%- if message['role'] == 'user' %}{{- '<|User|>' + message['content'] }}{% endif %}
{%- if message['role'] == 'assistant' %}
{%- set content = message['content'].split('</think>')[-1] %}
{{- '<|Assistant|>' + content + eos_token }}{% endif %}
{%- endfor -%}
{%- if add_generation_prompt %}{{- '<|Assistant|>' }}{% endif -%}
"""
BEGINS = "<|endoftext|>"
ANSWER = "<think>\nMore than one and less than three.\n</think>\n\nTwo."
CONVERSATIONS = [
    ("What is one and one?", ANSWER),
    ("Say it.", "<think>so</think>It."),
    ("And again, at length, please, in one sentence.", "<think>once</think>It, and it again."),
]

Predictions = list[tuple[tuple[int, ...], int]]
"""What a model sees, and the token that it is to say next; only what the loss counts."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    make_tiny_tokenizer(demo_corpus_path(), folder)
    return folder


@pytest.fixture(params=["begins", "begins-not"])
def base(request: pytest.FixtureRequest, tiny: Path, tmp_path: Path) -> Path:
    """A model folder with an R1 template; its tokenizer begins every text, or does not."""
    for path in tiny.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "chat_template.jinja").write_text(R1)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    begins = request.param == "begins"
    config |= {"add_bos_token": begins, "bos_token": BEGINS if begins else ""}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    return tmp_path


def prepared(base: Path) -> list[Tokens]:
    lines = [
        json.dumps(
            {
                "messages": [
                    {"role": "user", "content": question},
                    {"role": "assistant", "content": answer},
                ]
            }
        )
        for question, answer in CONVERSATIONS
    ]
    rows = (parse_row(number, line.encode()) for number, line in enumerate(lines, 1))
    made = list(RowTokenizer(base, 4096).tokens(rows))
    assert all(isinstance(each, Tokens) for each in made)
    return [each for each in made if isinstance(each, Tokens)]


def as_rows(made: Sequence[Tokens]) -> list[Row]:
    return [Row(array("i", each.ids), bytes(each.mask)) for each in made]


def test_the_ids_are_the_models_own_with_the_reasoning_kept_and_one_beginning(base: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    begin = tokenizer.token_to_id(BEGINS)
    begins = json.loads((base / "tokenizer_config.json").read_text())["add_bos_token"]
    for (question, answer), row in zip(CONVERSATIONS, prepared(base), strict=True):
        assert [index for index, each in enumerate(row.ids) if each == begin] == [0] * begins
        learnt = [each for each, counts in zip(row.ids, row.mask, strict=True) if counts]
        assert tokenizer.decode(learnt, skip_special_tokens=False) == answer + "<|im_end|>"
        before = list(row.ids[: len(row.ids) - len(learnt)])
        prompt = (BEGINS if begins else "") + f"<|User|>{question}<|Assistant|>"
        assert before == tokenizer.encode(prompt, add_special_tokens=False).ids
        assert row.mask == (0,) * len(before) + (1,) * len(learnt)


def test_every_lane_asks_its_model_for_the_same_tokens_after_the_same_ones(base: Path) -> None:
    rows = as_rows(prepared(base))
    wanted = [
        (tuple(row.ids[:at]), row.ids[at])
        for row in rows
        for at in range(1, len(row.ids))
        if row.mask[at]
    ]
    assert len({len(row.ids) for row in rows}) == 3, "so that rows are padded"
    assert hugging_face(rows) == wanted
    assert megatron(rows) == wanted


def hugging_face(rows: list[Row]) -> Predictions:
    """As transformers' loss counts the batches of the lanes built on its Trainer."""
    from runners.payload.hf_training import collate

    batch: dict[str, Any] = collate(rows, pad_id=0)
    found: Predictions = []
    for ids, labels, attended in zip(
        *(batch[name].tolist() for name in ("input_ids", "labels", "attention_mask")), strict=True
    ):
        for at in range(1, len(ids)):
            if labels[at] != -100:
                assert all(attended[: at + 1])
                found.append((tuple(ids[:at]), labels[at]))
    return found


def megatron(rows: list[Row]) -> Predictions:
    """As Megatron's loss counts the batches of the nemo lane."""
    from runners.payload.nemo_batches import PAD_TO, RowsInOrder

    order = RowsInOrder(rows, [0, 1, 2], 6, pad_id=0)
    assert [order[position] for position in (3, 4, 5)] == rows, "the order begins again"
    batch = order.collate_fn([order[position] for position in range(3)])
    assert batch["tokens"].shape[1] % PAD_TO == 0
    assert batch["position_ids"][0].tolist() == list(range(batch["tokens"].shape[1]))
    found: Predictions = []
    for tokens, labels, counted in zip(
        *(batch[name].tolist() for name in ("tokens", "labels", "loss_mask")), strict=True
    ):
        found += [
            (tuple(tokens[: at + 1]), labels[at]) for at, counts in enumerate(counted) if counts
        ]
    return found


def test_rows_that_fill_up_an_evaluation_count_for_nothing(make: Callable[[int], Row]) -> None:
    from runners.payload.nemo_batches import RowsInOrder, filled_up

    rows = [make(4), make(3)]
    full = filled_up(rows, 4)
    assert (len(full), full[:2]) == (4, rows)
    batch = RowsInOrder(full, range(4), 4, pad_id=0).collate_fn(full)
    assert batch["loss_mask"].sum(dim=1).tolist() == [3.0, 2.0, 0.0, 0.0]
    assert filled_up(rows, 2) == rows
    single = RowsInOrder([make(1)], [0], 1, pad_id=0)
    assert single.collate_fn([single[0]])["loss_mask"].sum() == 0


@pytest.fixture
def make() -> Callable[[int], Row]:
    return lambda length: Row(array("i", range(1, length + 1)), bytes([1] * length))
