"""Rows that call tools, tokenizers that begin a text by themselves, ids that no model knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runners.payload.tiny_tokenizer import make_tiny_tokenizer
from runners.prepare.tokens import RowTokenizer, Tokens
from runners.recipe.data import BadRow, parse_row
from runners.recipe.demo import demo_corpus_path

TEMPLATE = """\
{% if tools %}Tools: {{ tools | tojson }}
{% endif %}{% for each in messages %}<|im_start|>{{ each.role }}
{{ each.content if each.content is not none }}\
{% for call in each.tool_calls or [] %}[{{ call.function | tojson }}]{% endfor %}\
<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

TOOL = {"type": "function", "function": {"name": "weather"}}
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"at": "Ulm"}}}
ASK = {"role": "user", "content": "Rain?"}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
ANSWER = {"role": "assistant", "content": "No."}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    make_tiny_tokenizer(demo_corpus_path(), tmp_path)
    (tmp_path / "chat_template.jinja").write_text(TEMPLATE)
    return tmp_path


def change(path: Path, **values: Any) -> None:
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | values))


def one(base: Path, row: dict[str, Any]) -> Tokens | BadRow:
    (found,) = RowTokenizer(base, 4096).tokens([parse_row(1, json.dumps(row).encode())])
    return found


def texts(base: Path, row: dict[str, Any]) -> tuple[str, str]:
    """What is given and what is learnt."""
    from tokenizers import Tokenizer

    found = one(base, row)
    assert isinstance(found, Tokens), found
    decoder = Tokenizer.from_file(str(base / "tokenizer.json"))
    parts = [
        [each for each, counts in zip(found.ids, found.mask, strict=True) if counts == wanted]
        for wanted in (0, 1)
    ]
    given, learnt = (decoder.decode(part, skip_special_tokens=False) for part in parts)
    return given, learnt


def reason(base: Path, row: dict[str, Any]) -> str:
    found = one(base, row)
    assert isinstance(found, BadRow)
    return found.reason


@pytest.mark.parametrize("tools", [[TOOL], json.dumps([TOOL])], ids=["a list", "as text"])
def test_tools_and_earlier_calls_are_given(base: Path, tools: Any) -> None:
    row = {"messages": [ASK, CALLS, {"role": "tool", "content": "dry"}, ANSWER], "tools": tools}
    given, learnt = texts(base, row)
    assert given.startswith('Tools: [{"type": "function"')
    assert '[{"name": "weather", "arguments": {"at": "Ulm"}}]<|im_end|>' in given
    assert learnt == "No.<|im_end|>"
    assert "None" not in given, "a template asks whether there is a text"


def test_a_call_is_learnt_as_the_template_writes_it(base: Path) -> None:
    said = CALLS | {"content": "<think>look</think>"}
    given, learnt = texts(base, {"messages": [ASK, said], "tools": [TOOL]})
    assert given.endswith("Rain?<|im_end|>\n<|im_start|>assistant\n")
    written = '[{"name": "weather", "arguments": {"at": "Ulm"}}]'
    assert learnt == f"<think>look</think>{written}<|im_end|>"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"messages": [ASK, CALLS]}, "leaves tool calls out"),
        ({"messages": [ASK, ANSWER], "tools": [TOOL]}, "leaves tools or their calls out"),
        ({"messages": [ASK, CALLS, ASK, ANSWER]}, "leaves tools or their calls out"),
    ],
    ids=["learnt", "may be called", "was called"],
)
def test_what_a_template_leaves_out_is_not_left_out_in_silence(
    base: Path, row: dict[str, Any], why: str
) -> None:
    (base / "chat_template.jinja").write_text(
        TEMPLATE.replace("if tools", "if false").replace("each.tool_calls or []", "[]")
    )
    assert why in reason(base, row)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"messages": [ASK, ANSWER], "tools": "weather"}, "tools is a text that is not JSON"),
        ({"messages": [ASK, ANSWER], "tools": {"a": 1}}, "tools is not a list"),
        ({"messages": [ASK, CALLS | {"tool_calls": "x"}]}, "tool_calls is not a list of calls"),
        ({"messages": [ASK, CALLS | {"tool_calls": []}]}, "a turn of messages has no text"),
    ],
)
def test_tools_of_no_known_form(base: Path, row: dict[str, Any], why: str) -> None:
    assert why in reason(base, row)


def test_a_system_beside_the_conversation_is_given_too(base: Path) -> None:
    said = [{"from": "human", "value": "Rain?"}, {"from": "gpt", "value": "No."}]
    given, _ = texts(base, {"conversations": said, "system": "Be brief."})
    assert given.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nRain?")


@pytest.mark.parametrize("said", [None, False], ids=["unsaid", "denied"])
def test_a_text_begins_as_the_tokenizer_itself_begins_it(base: Path, said: bool | None) -> None:
    """Llama 3's is known by its post-processor alone, which transformers 5 goes by as well."""
    from tokenizers import Tokenizer, processors

    made = Tokenizer.from_file(str(base / "tokenizer.json"))
    begin = made.token_to_id("<|endoftext|>")
    made.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A <|im_end|>",
        special_tokens=[(name, made.token_to_id(name)) for name in ("<|endoftext|>", "<|im_end|>")],
    )
    made.save(str(base / "tokenizer.json"))
    change(base / "tokenizer_config.json", add_bos_token=said, bos_token="<|endoftext|>")
    rows = [
        {"text": "Rain."},
        {"text": "<|endoftext|>Rain."},
        {"prompt": "Rain?", "completion": " No."},
        {"messages": [ASK, ANSWER]},
    ]
    for row in rows:
        found = one(base, row)
        assert isinstance(found, Tokens)
        assert [at for at, each in enumerate(found.ids) if each == begin] == [0], row
        assert found.ids[-1] == made.token_to_id("<|im_end|>") != found.ids[-2]
    assert one_of(base, rows[0]).mask[:2] == (0, 1)


def one_of(base: Path, row: dict[str, Any]) -> Tokens:
    found = one(base, row)
    assert isinstance(found, Tokens)
    return found


@pytest.mark.parametrize("place", ["vocab_size", "text_config"])
def test_an_id_that_the_model_has_no_embedding_for_is_named(base: Path, place: str) -> None:
    row = {"messages": [ASK, ANSWER]}
    highest = max(one_of(base, row).ids)
    for size in (highest + 1, highest):
        value = size if place == "vocab_size" else {"vocab_size": size}
        change(base / "config.json", **{place: value})
        if size > highest:
            assert isinstance(one(base, row), Tokens)
        else:
            assert f"has the token id {highest}, but the model knows {size}" in reason(base, row)
