"""Preparing: ids and mask as a model meets them, reasoning never lost, whole or not at all."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model import Stage
from runners.payload.tiny_tokenizer import make_tiny_tokenizer
from runners.prepare import longest, prepare, prepare_inputs, prepare_is_whole, smoke_order
from runners.prepare.chat import ChatTemplate, TemplateError, join
from runners.prepare.order import eval_lines, percentile, shuffled_order
from runners.prepare.tokens import RowTokenizer, Tokens
from runners.recipe.data import BadRow, DataError, Row, parse_row, read_rows
from runners.recipe.demo import demo_corpus_path
from runners.recipe.load import recipe_from_data, recipe_hash

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


def make_run(folder: Path, data: Path, base: Path, *overrides: str, **info: object) -> Path:
    recipe = recipe_from_data(
        data, "tiny-random-qwen3", ["train.iterations=100", "model.sequence_length=512", *overrides]
    )
    folder.mkdir(exist_ok=True)
    content = {
        "kind": "full",
        "recipe": recipe.model_dump(mode="json"),
        "recipe_hash": recipe_hash(recipe),
        "paths": {"base": str(base)},
        **info,
    }
    (folder / "run.json").write_text(json.dumps(content))
    return folder


def rows_of(path: Path) -> list[dict[str, list[int]]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_whole_corpus(tmp_path: Path, tiny: Path) -> None:
    run = make_run(tmp_path / "run", demo_corpus_path(), tiny)
    seen: list[tuple[int, int]] = []
    manifest = prepare(run, on_progress=lambda done, total: seen.append((done, total)))
    rows = rows_of(run / "data" / "train.jsonl")
    order = json.loads((run / "data" / "order.json").read_text())
    assert manifest.rows == len(rows) == 240
    assert manifest.tokens == sum(len(row["ids"]) for row in rows)
    assert all(0 < sum(row["mask"]) < len(row["ids"]) for row in rows)
    assert len(order["order"]) == 100 * 16
    assert set(order["order"]) == set(range(240))
    assert seen[-1] == (240, 240)
    assert json.loads((run / "data" / "manifest.json").read_text()) == manifest.to_json()
    assert not (run / "data" / "eval.jsonl").exists()


def test_the_same_inputs_give_the_same_ids(tmp_path: Path, tiny: Path) -> None:
    first = make_run(tmp_path / "a", demo_corpus_path(), tiny)
    second = make_run(tmp_path / "b", demo_corpus_path(), tiny)
    assert prepare(first) == prepare(second)
    for name in ("train.jsonl", "order.json", "manifest.json"):
        assert (first / "data" / name).read_bytes() == (second / "data" / name).read_bytes()


def test_rows_kept_for_evaluation_are_not_trained_on(tmp_path: Path, tiny: Path) -> None:
    run = make_run(
        tmp_path / "run",
        demo_corpus_path(),
        tiny,
        "data.eval_fraction=0.1",
        "data.eval_interval=10",
    )
    manifest = prepare(run)
    train, held = (rows_of(run / "data" / name) for name in ("train.jsonl", "eval.jsonl"))
    assert (len(train), len(held)) == (manifest.rows, manifest.eval_rows) == (216, 24)
    order = json.loads((run / "data" / "order.json").read_text())["order"]
    assert max(order) < len(train)
    # Without the split the same ids are all there.
    whole = make_run(tmp_path / "whole", demo_corpus_path(), tiny)
    prepare(whole)
    ids = Counter(str(row["ids"]) for row in rows_of(whole / "data" / "train.jsonl"))
    assert ids == Counter(str(row["ids"]) for row in train + held)


def test_rows_to_evaluate_on_may_be_a_file(tmp_path: Path, tiny: Path) -> None:
    held = tmp_path / "eval.jsonl"
    held.write_text('{"text": "one"}\n{"text": "two"}\n')
    run = make_run(
        tmp_path / "run",
        demo_corpus_path(),
        tiny,
        f"data.eval_path={held}",
        "data.eval_interval=10",
    )
    assert (prepare(run).rows, prepare(run).eval_rows) == (240, 2)


def test_a_smoke_run_has_the_mix_and_then_the_longest(tmp_path: Path, tiny: Path) -> None:
    run = make_run(
        tmp_path / "run", demo_corpus_path(), tiny, kind="smoke", smoke={"iterations": 3}
    )
    prepare(run)
    rows = rows_of(run / "data" / "train.jsonl")
    content = json.loads((run / "data" / "order.json").read_text())
    assert len(content["order"]) == 4 * 16
    assert content["order"][-16:] == content["longest"]
    assert len(rows[content["longest"][0]]["ids"]) == max(len(row["ids"]) for row in rows)


def test_auto_iterations_have_rows_enough(tmp_path: Path, tiny: Path) -> None:
    run = make_run(
        tmp_path / "run",
        demo_corpus_path(),
        tiny,
        "train.iterations=auto",
        "train.auto_seconds=2",
    )
    prepare(run)
    assert len(json.loads((run / "data" / "order.json").read_text())["order"]) == 100 * 16


@pytest.mark.parametrize(
    ("rows", "overrides", "words"),
    [
        pytest.param('{"text":"a"}\n{bad\n', [], "line 2 is not JSON", id="bad-line"),
        pytest.param("", [], "is empty", id="empty"),
        pytest.param(
            json.dumps({"text": "word " * 50}),
            ["model.sequence_length=8"],
            "line 1: </think> or the end-of-sequence token is lost",
            id="too-long",
        ),
        pytest.param(
            json.dumps({"text": "word " * 50}),
            ["model.sequence_length=8", "data.too_long=drop"],
            "no row is left",
            id="all-dropped",
        ),
    ],
)
def test_bad_rows_leave_nothing_to_be_trusted(
    tmp_path: Path, tiny: Path, rows: str, overrides: Sequence[str], words: str
) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text(rows)
    run = make_run(tmp_path / "run", data, tiny, *overrides)
    with pytest.raises(DataError) as caught:
        prepare(run)
    assert words in str(caught.value)
    assert str(data) in str(caught.value)
    assert list((run / "data").iterdir()) == []


def test_long_rows_may_be_dropped(tmp_path: Path, tiny: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text(json.dumps({"text": "word " * 50}) + '\n{"text":"a"}\n')
    run = make_run(tmp_path / "run", data, tiny, "model.sequence_length=8", "data.too_long=drop")
    manifest = prepare(run)
    assert (manifest.rows, manifest.dropped) == (1, 1)


def test_whole_means_the_same_inputs_and_every_file(tmp_path: Path, tiny: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_bytes(demo_corpus_path().read_bytes())
    run = make_run(tmp_path / "run", data, tiny)
    inputs = prepare_inputs(run)
    assert not prepare_is_whole(run, inputs)
    prepare(run)
    assert prepare_is_whole(run, inputs)
    with data.open("a") as stream:
        stream.write('{"text": "one more"}\n')
    assert not prepare_is_whole(run, prepare_inputs(run))
    train = run / "data" / "train.jsonl"
    train.write_bytes(train.read_bytes()[:-1])
    assert not prepare_is_whole(run, inputs)
    (run / "data" / "manifest.json").write_text("[]")
    assert not prepare_is_whole(run, inputs)


class Interrupted(Exception):
    """Raised from the progress callback."""


@pytest.mark.parametrize("after", [1, 100, 240])
def test_stopped_anywhere_it_leaves_no_manifest(tmp_path: Path, tiny: Path, after: int) -> None:
    run = make_run(tmp_path / "run", demo_corpus_path(), tiny)
    prepare(run)

    def stop(done: int, total: int) -> None:
        if done >= after:
            raise Interrupted

    with pytest.raises(Interrupted):
        prepare(run, on_progress=stop)
    assert not prepare_is_whole(run, prepare_inputs(run))
    prepare(run)
    assert prepare_is_whole(run, prepare_inputs(run))


def stage(run: Path) -> subprocess.Popen[bytes]:
    environment = {
        "LANEWATCH_RUN_DIR": str(run),
        "LANEWATCH_STAGE": Stage.PREPARE.value,
        "LANEWATCH_ATTEMPT": "1",
        "LANEWATCH_RUN": run.name,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "runners.prepare", str(run)],
        env=environment,
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def test_as_a_stage_it_reports_as_any_stage(tmp_path: Path, tiny: Path) -> None:
    run = make_run(tmp_path / "run", demo_corpus_path(), tiny)
    process = stage(run)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    result = json.loads((run / "result.json").read_text())
    heartbeat = json.loads((run / "heartbeat.json").read_text())
    assert (result["stage"], result["outcome"], result["rows"]) == ("prepare", "finished", 240)
    assert (heartbeat["done"], heartbeat["total"], heartbeat["unit"]) == (240, 240, "rows")
    assert prepare_is_whole(run, prepare_inputs(run))


def test_as_a_stage_it_fails_with_one_sentence(tmp_path: Path, tiny: Path) -> None:
    run = make_run(tmp_path / "run", tmp_path / "none.jsonl", tiny)
    process = stage(run)
    process.communicate(timeout=60)
    assert process.returncode == 1
    cause = json.loads((run / "result.json").read_text())["cause"]
    assert "none.jsonl: there is no such data file" in cause
    assert "\n" not in cause


def test_killed_it_leaves_all_or_nothing(tmp_path: Path, tiny: Path) -> None:
    run = make_run(tmp_path / "run", demo_corpus_path(), tiny)
    process = stage(run)
    while process.poll() is None and not (run / "data").exists():
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    manifest = run / "data" / "manifest.json"
    assert manifest.exists() == prepare_is_whole(run, prepare_inputs(run))
    prepare(run)
    assert prepare_is_whole(run, prepare_inputs(run))


LENGTHS = st.lists(st.integers(1, 5000), min_size=1, max_size=60)


@given(lengths=LENGTHS, batch=st.integers(1, 16), seed=st.integers(0, 9))
def test_every_step_of_a_smoke_run_has_the_corpuss_mix(
    lengths: list[int], batch: int, seed: int
) -> None:
    order = smoke_order(lengths, 3, batch, seed)
    assert order == smoke_order(lengths, 3, batch, seed)
    ranked = sorted(lengths)
    for step in (order[start : start + batch] for start in range(0, 3 * batch, batch)):
        for stratum, length in enumerate(sorted(lengths[row] for row in step)):
            low = ranked[stratum * len(ranked) // batch]
            high = ranked[
                max(stratum * len(ranked) // batch, (stratum + 1) * len(ranked) // batch - 1)
            ]
            assert low <= length <= high


@given(rows=st.integers(1, 50), length=st.integers(0, 200), seed=st.integers(0, 9))
def test_each_epoch_takes_every_row_once(rows: int, length: int, seed: int) -> None:
    order = shuffled_order(rows, length, seed)
    assert len(order) == length
    for start in range(0, length - rows + 1, rows):
        assert sorted(order[start : start + rows]) == list(range(rows))
    assert order == shuffled_order(rows, length + 7, seed)[:length]


@given(lengths=LENGTHS, n=st.integers(0, 80))
def test_the_longest_come_first(lengths: list[int], n: int) -> None:
    found = longest(lengths, n)
    assert len(found) == n
    head = [lengths[row] for row in found[: len(lengths)]]
    assert head == sorted(lengths, reverse=True)[:n]


@given(lines=st.integers(0, 400), fraction=st.floats(0, 0.5), seed=st.integers(0, 9))
def test_a_split_never_takes_all(lines: int, fraction: float, seed: int) -> None:
    kept = eval_lines(lines, fraction, seed)
    assert all(0 <= each < lines for each in kept)
    assert len(kept) < max(1, lines)
    assert bool(kept) == (fraction > 0 and lines > 1)


def test_percentiles() -> None:
    assert percentile([], 0.5) is None
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(list(range(100)), 0.95) == 95
