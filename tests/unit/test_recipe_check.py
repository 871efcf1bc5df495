"""`recipe check`: everything about recipe and data that can be known before a launch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from runners.payload.tiny_tokenizer import make_tiny_tokenizer
from runners.recipe.check import check_recipe
from runners.recipe.demo import demo_corpus_path, demo_recipe_path
from runners.recipe.report import Level, Report

GOOD = '{"prompt": "Why?", "completion": "<think>so</think>Because."}\n'


def good(count: int) -> str:
    """So many rows, each another one."""
    return "".join(GOOD.replace("Why", f"Why {number}") for number in range(count))


def check(folder: Path, rows: str, *overrides: str, model: str = "tiny-random-qwen3") -> Report:
    (folder / "rows.jsonl").write_text(rows)
    (folder / "recipe.toml").write_text(
        f'[model]\npath = "{model}"\n[data]\npath = "rows.jsonl"\n[train]\niterations = 100\n'
    )
    return check_recipe(folder / "recipe.toml", overrides)


def said(report: Report, level: Level) -> list[str]:
    return [f"{each.field}: {each.text}" for each in report.findings if each.level is level]


def test_the_demo_is_whole() -> None:
    report = check_recipe(demo_recipe_path())
    assert report.ok
    assert report.findings == ()
    assert (report.rows, report.shapes, report.cut) == (240, {"messages": 240}, 0)
    assert report.tokens is not None
    lengths = [report.tokens[name] for name in ("p50", "p95", "max", "total")]
    assert lengths == sorted(lengths, key=lambda each: each or 0)
    assert report.epochs is None, "auto iterations are not known yet"


def test_epochs_are_batches_over_rows(tmp_path: Path) -> None:
    assert check(tmp_path, good(100)).epochs == 100 * 16 / 100
    split = check(tmp_path, good(100), "data.eval_fraction=0.5", "data.eval_interval=5")
    assert split.epochs == 100 * 16 / 50


def test_bad_rows_are_named_by_line_and_counted(tmp_path: Path) -> None:
    report = check(tmp_path, GOOD + "oops\n" * 30 + '{"a": 1}\n')
    assert not report.ok
    assert said(report, Level.ERROR) == [
        "data.path: lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 20 more: is not JSON",
        "data.path: line 32: has no known shape: neither messages, prompt + completion, text nor "
        "conversations",
    ]
    assert [each.count for each in report.findings] == [30, 1]


@pytest.mark.parametrize(
    ("long_rows", "overrides", "levels"),
    [
        pytest.param(0, [], [], id="none"),
        pytest.param(1, ["data.too_long=drop"], [Level.WARNING], id="one-percent-dropped"),
        pytest.param(2, ["data.too_long=drop"], [Level.ERROR], id="two-percent-dropped"),
        pytest.param(2, ["data.too_long=drop-any"], [Level.WARNING], id="however-many-dropped"),
        pytest.param(1, [], [Level.WARNING, Level.ERROR], id="one-percent-cut-loses-its-end"),
        pytest.param(2, [], [Level.ERROR, Level.ERROR], id="two-percent-cut"),
    ],
)
def test_rows_over_the_limit(
    tmp_path: Path, long_rows: int, overrides: list[str], levels: list[Level]
) -> None:
    long = '{"prompt": "Why?", "completion": "<think>so</think>' + "word " * 200 + '%d"}\n'
    rows = good(100 - long_rows) + "".join(long % number for number in range(long_rows))
    report = check(tmp_path, rows, "model.sequence_length=64", *overrides)
    assert [each.level for each in report.findings] == levels
    assert report.cut == long_rows
    if long_rows == 1:
        assert report.findings[0].lines == (100,)


def test_a_row_that_was_there_before_is_a_doubt_whatever_its_shape(tmp_path: Path) -> None:
    text, pair = '{"text": "%s"}\n', '{"prompt": "", "completion": "%s"}\n'
    (tmp_path / "eval.jsonl").write_text(text % "new" + text % "a" + text % "new")
    rows = text % "a" + text % "b" + text % "b" + pair % "a" + text % "c"
    report = check(tmp_path, rows, f"data.eval_path={tmp_path}/eval.jsonl", "data.eval_interval=5")
    assert report.ok
    assert [each for each in said(report, Level.WARNING) if "shapes" not in each] == [
        "data.path: lines 3, 4: the same as an earlier row",
        "data.eval_path: line 2: trained on as well (data.path)",
        "data.eval_path: line 3: the same as an earlier row",
    ]
    assert [each.count for each in report.findings if "earlier" in each.text] == [2, 1]


def test_reasoning_lost_in_the_cut_is_an_error(tmp_path: Path) -> None:
    long = json.dumps({"prompt": "Why?", "completion": f"<think>{'so ' * 200}</think>x"}) + "\n"
    report = check(tmp_path, good(199) + long, "model.sequence_length=64")
    (error,) = said(report, Level.ERROR)
    assert "line 200: </think> is lost; model.sequence_length is 64: raise it" in error


def test_forbidden_phrases_are_found_whatever_their_case(tmp_path: Path) -> None:
    row = '{"prompt": "Why?", "completion": "The Metes-and-Times of it."}\n'
    report = check(tmp_path, GOOD + row, 'data.forbidden_phrases=["metes-and-times"]')
    assert said(report, Level.ERROR) == [
        'data.path: line 2: holds the forbidden phrase "metes-and-times"'
    ]


def test_without_a_tokenizer_lengths_are_unknown_not_zero(tmp_path: Path) -> None:
    report = check(tmp_path, GOOD + "oops\n", model="owner/model")
    assert (report.tokens, report.cut, report.rows) == (None, None, 2)
    (warning,) = said(report, Level.WARNING)
    assert "the stage `fetch` of a run loads it" in warning
    assert "token lengths unknown" in warning
    assert said(report, Level.ERROR) == ["data.path: line 2: is not JSON"]


def test_a_base_on_this_machine_is_used(tmp_path: Path) -> None:
    base = tmp_path / "base"
    make_tiny_tokenizer(demo_corpus_path(), base)
    report = check(tmp_path, GOOD, model=str(base))
    assert any("lacks config.json" in each for each in said(report, Level.ERROR))
    (base / "config.json").write_text("{}")
    assert said(check(tmp_path, GOOD, model=str(base)), Level.ERROR) == [
        f"model.path: {base} holds no weights (*.safetensors); get the model again"
    ]
    (base / "pytorch_model.bin").touch()
    report = check(tmp_path, GOOD, model=str(base))
    assert report.ok
    assert report.base == str(base)
    assert report.tokens is not None


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param("[1, 2]", "JSON array", id="array"),
        pytest.param("\0", "binary", id="binary"),
    ],
)
def test_a_data_file_that_holds_no_rows(tmp_path: Path, rows: str, word: str) -> None:
    (error,) = said(check(tmp_path, rows), Level.ERROR)
    assert word in error


def test_both_data_files_are_checked(tmp_path: Path) -> None:
    report = check(tmp_path, GOOD, f"data.eval_path={tmp_path}", "data.eval_interval=5")
    (error,) = said(report, Level.ERROR)
    assert error.startswith("data.eval_path: ")
    assert "is a folder" in error


def test_mixed_shapes_are_a_warning(tmp_path: Path) -> None:
    report = check(tmp_path, GOOD + '{"text": "x"}\n')
    assert report.ok
    assert said(report, Level.WARNING) == ["data.path: mixes shapes: prompt_completion, text"]


def test_a_wrong_recipe_gives_every_problem(tmp_path: Path) -> None:
    report = check(tmp_path, GOOD, "train.lr=9", "lora.rnk=3")
    assert [each.field for each in report.findings] == ["lora.rnk", "train.lr"]
    assert not check_recipe(tmp_path / "none.toml").ok


def test_as_json_and_as_text_it_says_the_same(tmp_path: Path) -> None:
    report = check(tmp_path, GOOD + "oops\n")
    value: dict[str, Any] = json.loads(json.dumps(report.to_json()))
    assert (value["ok"], value["rows"], len(value["findings"])) == (False, 2, 1)
    assert value["findings"][0]["lines"] == [2]
    text = report.lines()
    assert text[-1].endswith("recipe.toml: 1 error")
    assert any("line 2: is not JSON" in line for line in text)
    assert check(tmp_path, GOOD).lines()[-1].endswith("recipe.toml: ok")


def test_weights_that_are_not_whole_and_layers_that_are_none_are_errors(tmp_path: Path) -> None:
    base = tmp_path / "base"
    make_tiny_tokenizer(demo_corpus_path(), base)
    (base / "config.json").write_text("{}")
    place = "model-00001-of-00002.safetensors"
    index = {"weight_map": {"model.layers.0.self_attn.q_proj.weight": place}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    (error,) = said(check(tmp_path, GOOD, model=str(base)), Level.ERROR)
    assert f"model.path: {base / place} cannot be read" in error
    shape = {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]}
    header = json.dumps({"model.layers.0.self_attn.q_proj.weight": shape}).encode()
    (base / place).write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert check(tmp_path, GOOD, 'lora.targets=["q_proj"]', model=str(base)).ok
    for target, hint in (("qproj", "did you mean q_proj?"), ("all-linear", "it has q_proj")):
        report = check(tmp_path, GOOD, f'lora.targets=["q_proj", "{target}"]', model=str(base))
        (error,) = said(report, Level.ERROR)
        assert error.startswith(f"lora.targets: '{target}' is no linear layer of the base")
        assert error.endswith(hint)
    config = {"quantization_config": {"quant_method": "bitsandbytes"}}
    (base / "config.json").write_text(json.dumps(config))
    (error,) = said(check(tmp_path, GOOD, model=str(base)), Level.ERROR)
    assert "quantised already (bitsandbytes)" in error


def test_rows_longer_than_the_base_was_made_for_are_a_warning(tmp_path: Path) -> None:
    base = tmp_path / "base"
    make_tiny_tokenizer(demo_corpus_path(), base)
    (base / "pytorch_model.bin").touch()
    for positions, warned in ((512, []), (8, ["8 positions"])):
        (base / "config.json").write_text(json.dumps({"max_position_embeddings": positions}))
        report = check(tmp_path, GOOD, model=str(base))
        assert report.ok
        assert [each.rpartition("made for ")[2] for each in said(report, Level.WARNING)] == warned


def _weights(path: Path, dtype: str, *names: str) -> None:
    """A safetensors file of one number a tensor."""
    header = {
        name: {"dtype": dtype, "shape": [1, 1], "data_offsets": [4 * at, 4 * at + 4]}
        for at, name in enumerate(names)
    }
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(4 * len(names)))


@pytest.mark.parametrize(
    ("dtype", "config", "promised", "says"),
    [
        pytest.param("BF16", "{}", "q_proj", None, id="whole"),
        pytest.param("BF16", "{}", "o_proj", "o_proj.weight, in no file", id="a tensor is gone"),
        pytest.param("F8_E4M3", "{}", "q_proj", "of 8 bits (F8_E4M3)", id="scales are gone"),
        pytest.param("BF16", "[]", "q_proj", "config.json holds no JSON object", id="no object"),
    ],
)
def test_a_base_whose_files_do_not_belong_together_is_an_error(
    tmp_path: Path, dtype: str, config: str, promised: str, says: str | None
) -> None:
    base, place = tmp_path / "base", "model-00001-of-00001.safetensors"
    make_tiny_tokenizer(demo_corpus_path(), base)
    (base / "config.json").write_text(config)
    layer = "model.layers.0.self_attn"
    index = {"weight_map": {f"{layer}.{promised}.weight": place}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    _weights(base / place, dtype, f"{layer}.q_proj.weight")
    report = check(tmp_path, GOOD, 'lora.targets=["q_proj"]', model=str(base))
    assert report.ok is (says is None)
    if says is not None:
        (error,) = said(report, Level.ERROR)
        assert says in error


@pytest.mark.timeout(20)
def test_data_that_is_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    """The tiny base's tokenizer is made from the rows, and read them before they were looked at."""
    os.mkfifo(tmp_path / "pipe")
    (error,) = said(check(tmp_path, GOOD, f"data.path={tmp_path / 'pipe'}"), Level.ERROR)
    assert error.endswith("pipe is not a regular file")
