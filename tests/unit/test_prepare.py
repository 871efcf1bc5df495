"""Preparing a row: ids and mask as a model meets them, reasoning never lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.payload.tiny_tokenizer import make_tiny_tokenizer
from runners.prepare.chat import ChatTemplate, TemplateError, join
from runners.prepare.tokens import RowTokenizer, Tokens
from runners.recipe.data import BadRow, DataError, Row, parse_row, read_rows
from runners.recipe.demo import demo_corpus_path

R1_TEMPLATE = """\
{%- if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif -%}
{{ bos_token }}
{%- for message in messages %}
{%- if message['role'] == 'user' %}{{ '<|User|>' + message['content'] }}{% endif %}
{%- if message['role'] == 'assistant' %}
{%- set content = message['content'] %}
{%- if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}
{{- '<|Assistant|>' + content + '<|im_end|>' }}{% endif %}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|Assistant|>' + opening }}{% endif -%}
"""
"""Deletes reasoning from every assistant turn, as the templates of R1's distillations do."""

Folder = Callable[..., Path]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    make_tiny_tokenizer(demo_corpus_path(), folder)
    return folder


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Folder:
    """Make a model folder like the tiny one, with another template or configuration."""

    def make(template: str | None = None, **config: object) -> Path:
        made = tmp_path / "model"
        made.mkdir()
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            (made / name).write_bytes((tiny / name).read_bytes())
        if template is not None:
            (made / "chat_template.jinja").write_text(template)
        path = made / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | config))
        return made

    return make


def one(folder: Path, row: dict[str, Any], limit: int = 4096) -> Tokens | BadRow:
    (found,) = RowTokenizer(folder, limit).tokens([parse_row(1, json.dumps(row).encode())])
    return found


def learnt(folder: Path, tokens: Tokens | BadRow) -> tuple[str, str]:
    """Return (what is not learnt, what is) as text."""
    from tokenizers import Tokenizer

    assert isinstance(tokens, Tokens)
    assert len(tokens.ids) == len(tokens.mask)
    decoder = Tokenizer.from_file(str(folder / "tokenizer.json"))
    parts = [
        [each for each, counts in zip(tokens.ids, tokens.mask, strict=True) if counts == wanted]
        for wanted in (0, 1)
    ]
    before, after = (decoder.decode(part, skip_special_tokens=False) for part in parts)
    return before, after


def chat(*contents: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {
        "messages": [
            {"role": roles[index % 2], "content": content} for index, content in enumerate(contents)
        ]
    }


def test_the_answer_is_learnt_and_the_prompt_is_not(tiny: Path) -> None:
    before, after = learnt(tiny, one(tiny, chat("Why?", "<think>so</think>Because.")))
    assert before == "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
    assert after == "<think>so</think>Because.<|im_end|>"


def test_only_the_last_answer_of_a_conversation_is_learnt(tiny: Path) -> None:
    row = chat("One?", "<think>a</think>First.", "Two?", "<think>b</think>Second.")
    before, after = learnt(tiny, one(tiny, row))
    assert after == "<think>b</think>Second.<|im_end|>"
    assert "First." in before
    assert "<think>a" not in before, "the template drops the reasoning of earlier turns"


def test_a_template_that_deletes_reasoning_cannot_delete_what_is_learnt(folder: Folder) -> None:
    made = folder(R1_TEMPLATE.replace(" + opening", ""))
    before, after = learnt(made, one(made, chat("Why?", "<think>\nso\n</think>\n\nBecause.")))
    assert before == "<|User|>Why?<|Assistant|>"
    assert after == "<think>\nso\n</think>\n\nBecause.<|im_end|>"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("<think>\nso\n</think>\n\nBecause.", id="opened-again"),
        pytest.param("so\n</think>\n\nBecause.", id="continued"),
    ],
)
def test_a_reasoning_that_the_template_opens_is_not_opened_twice(
    folder: Folder, answer: str
) -> None:
    made = folder(R1_TEMPLATE.replace("opening", r"'<think>\n'"))
    before, after = learnt(made, one(made, chat("Why?", answer)))
    assert before.endswith("<|Assistant|><think>\n")
    assert after == "so\n</think>\n\nBecause.<|im_end|>"


def test_an_opened_reasoning_that_is_never_closed_is_noticed(folder: Folder) -> None:
    made = folder(R1_TEMPLATE.replace("opening", r"'<think>\n'"))
    found = one(made, chat("Why?", "Because."))
    assert isinstance(found, Tokens)
    assert found.unopened


def test_a_turns_end_that_is_not_the_eos_is_kept(folder: Folder) -> None:
    made = folder(eos_token="<|endoftext|>")
    _, after = learnt(made, one(made, chat("Why?", "Because.")))
    assert after == "Because.<|im_end|><|endoftext|>"


@pytest.mark.parametrize(
    ("row", "before", "after"),
    [
        pytest.param({"text": "All."}, "", "All.<|im_end|>", id="text"),
        pytest.param({"text": "All.<|im_end|>"}, "", "All.<|im_end|>", id="text-with-its-end"),
        pytest.param(
            {"prompt": "Q: ", "completion": "A"}, "Q: ", "A<|im_end|>", id="prompt-and-completion"
        ),
    ],
)
def test_plain_texts(tiny: Path, row: dict[str, Any], before: str, after: str) -> None:
    assert learnt(tiny, one(tiny, row)) == (before, after)


def test_a_first_token_is_put_in_once(folder: Folder) -> None:
    made = folder("{{ bos_token }}X", add_bos_token=True, bos_token={"content": "<|endoftext|>"})
    assert learnt(made, one(made, chat("Why?", "B")))[0] == "<|endoftext|>X"
    assert learnt(made, one(made, {"text": "B"})) == ("<|endoftext|>", "B<|im_end|>")


@pytest.mark.parametrize(
    ("limit", "lost_think", "lost_end"),
    [
        pytest.param(1000, False, False, id="fits"),
        pytest.param(-1, False, True, id="loses-its-end"),
        pytest.param(12, True, True, id="loses-its-reasoning"),
    ],
)
def test_what_a_cut_loses_is_known(
    tiny: Path, limit: int, lost_think: bool, lost_end: bool
) -> None:
    row = chat("Why?", "<think>so it goes</think>Because.")
    whole = one(tiny, row)
    assert isinstance(whole, Tokens)
    found = one(tiny, row, limit if limit > 0 else whole.length + limit)
    assert isinstance(found, Tokens)
    assert (found.lost_think, found.lost_end) == (lost_think, lost_end)
    assert found.ids == whole.ids[: len(found.ids)]
    assert found.length == whole.length


def test_a_template_may_refuse_a_row(folder: Folder) -> None:
    made = folder("{{ raise_exception('roles must alternate') }}")
    found = one(made, chat("Why?", "B"))
    assert isinstance(found, BadRow)
    assert "roles must alternate" in found.reason


def test_half_a_character_from_a_field_that_only_the_template_reads(folder: Folder) -> None:
    made = folder("{{ messages[0].name }}")
    row = chat("Why?", "B")
    row["messages"][0]["name"] = "\ud800"
    found = one(made, row)
    assert isinstance(found, BadRow)
    assert "surrogate" in found.reason


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        pytest.param("{% generation %}{{ 1 }}{% endgeneration %}", "1", id="generation-block"),
        pytest.param("{{ {'a': '<é>'} | tojson }}", '{"a": "<é>"}', id="tojson-escapes-nothing"),
        pytest.param(
            "{% for i in [1, 2, 3] %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}",
            "1",
            id="break",
        ),
        pytest.param("{{ strftime_now('%%') }}", "%", id="strftime"),
        pytest.param("  {% if true %}\nx{% endif %}", "x", id="blocks-are-trimmed"),
        pytest.param("{{ eos_token }}{{ bos_token }}", "END", id="special-tokens"),
    ],
)
def test_a_template_finds_what_transformers_gives(template: str, rendered: str) -> None:
    assert ChatTemplate(template, {"eos_token": "END"}).prompt([]) == rendered


@pytest.mark.parametrize(
    "template",
    [
        pytest.param("{{ messages.append(1) }}", id="changes-its-input"),
        pytest.param("{{ ''.__class__.__mro__ }}", id="leaves-the-sandbox"),
        pytest.param("{{ none.x.y }}", id="undefined"),
        pytest.param("{{ 1 / 0 }}", id="divides-by-zero"),
        pytest.param("{% for i in range(10 ** 9) %}{% endfor %}", id="counts-for-ever"),
    ],
)
def test_a_hostile_template_is_an_error(template: str) -> None:
    with pytest.raises(TemplateError):
        ChatTemplate(template, {}).prompt([{"role": "user", "content": "x"}])


def test_a_template_that_writes_the_date_writes_the_same_one_on_every_day() -> None:
    source = "{{ strftime_now('%d %b %Y') }}{{ messages[0].content }}"
    assert ChatTemplate(source, {}).prompt([{"role": "user", "content": "?"}]) == "26 Jul 2024?"


def test_a_template_that_is_none() -> None:
    with pytest.raises(DataError, match="chat template"):
        ChatTemplate("{% if %}", {})


@given(prompt=st.text(), answer=st.text())
def test_joining_changes_nothing_but_a_second_opening(prompt: str, answer: str) -> None:
    if not prompt.rstrip().endswith("<think>"):
        assert join(prompt, answer) == answer


def test_the_tiny_tokenizer_is_the_same_in_transformers(tiny: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    for name in tiny.iterdir():
        (tmp_path / name.name).write_bytes(name.read_bytes())
    (tmp_path / "config.json").write_text('{"model_type": "qwen3"}')
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    assert theirs.is_fast
    assert (theirs.eos_token, theirs.pad_token) == ("<|im_end|>", "<|endoftext|>")
    rows = [row for row in read_rows(demo_corpus_path()) if isinstance(row, Row)][:40]
    for row, ours in zip(rows, RowTokenizer(tiny, 4096).tokens(rows), strict=True):
        assert isinstance(ours, Tokens)
        turns = [*row.messages, {"role": "assistant", "content": row.answer}]
        text = theirs.apply_chat_template(turns, tokenize=False)
        assert theirs(text.rstrip(), add_special_tokens=False)["input_ids"] == list(ours.ids)
        assert all(each in range(len(theirs)) for each in ours.ids)


def test_the_tiny_tokenizer_is_made_the_same_each_time(tiny: Path, tmp_path: Path) -> None:
    size = make_tiny_tokenizer(demo_corpus_path(), tmp_path)
    assert 600 <= size <= 1000
    for path in tiny.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    with pytest.raises(ValueError, match="holds no row"):
        make_tiny_tokenizer(tmp_path / "tokenizer.json", tmp_path / "none")


def test_a_model_folder_that_is_not_whole(tmp_path: Path, tiny: Path) -> None:
    with pytest.raises(DataError, match=r"tokenizer\.json: there is no such file"):
        RowTokenizer(tmp_path, 8)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match="is no tokenizer"):
        RowTokenizer(tmp_path, 8)
    (tmp_path / "tokenizer.json").write_bytes((tiny / "tokenizer.json").read_bytes())
    with pytest.raises(DataError, match="names no eos_token"):
        RowTokenizer(tmp_path, 8)
