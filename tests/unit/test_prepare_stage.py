"""Preparing a whole corpus: the files of its stage and the order of rows, whole or not at all."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model import Stage
from runners.payload.tiny_tokenizer import make_tiny_tokenizer
from runners.prepare import longest, prepare, prepare_inputs, prepare_is_whole, smoke_order
from runners.prepare.order import eval_lines, percentile, shuffled_order
from runners.recipe.check import check_loaded
from runners.recipe.data import DataError
from runners.recipe.demo import demo_corpus_path
from runners.recipe.load import recipe_from_data, recipe_hash
from runners.recipe.model import Recipe
from runners.recipe.report import Level


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    make_tiny_tokenizer(demo_corpus_path(), folder)
    return folder


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


def test_a_base_that_came_by_fetch_is_looked_at_before_the_long_stages(
    tmp_path: Path, tiny: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny, base)
    shape = {"dtype": "BF16", "shape": [1, 1], "data_offsets": [0, 2]}
    header = json.dumps({"model.layers.0.self_attn.q_proj.weight": shape}).encode()
    whole = len(header).to_bytes(8, "little") + header + bytes(2)
    (base / "model.safetensors").write_bytes(whole)
    run = make_run(tmp_path / "run", demo_corpus_path(), base, 'lora.targets=["q_proj", "qproj"]')
    with pytest.raises(DataError, match=r"lora.targets: 'qproj' is no linear layer of the base"):
        prepare(run)
    assert not (run / "data").exists()
    make_run(run, demo_corpus_path(), base, 'lora.targets=["q_proj"]')
    assert prepare(run).rows == 240
    (base / "model.safetensors").write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"model.path: .* no whole safetensors file"):
        prepare(run)


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
            ["model.sequence_length=8", "data.too_long=drop-any"],
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
    overrides = ("model.sequence_length=8", "data.too_long=drop-any")
    manifest = prepare(make_run(tmp_path / "run", data, tiny, *overrides))
    assert (manifest.rows, manifest.dropped) == (1, 1)


@pytest.mark.parametrize("place", ["data.path", "data.eval_path"])
def test_a_file_of_which_nothing_is_left_is_refused_by_check_and_stage(
    tmp_path: Path, tiny: Path, place: str
) -> None:
    """`recipe check` warned and told 64 epochs; an evaluation had no row and nobody said so."""
    paths = {name: tmp_path / f"{name}.jsonl" for name in ("data.path", "data.eval_path")}
    for name, path in paths.items():
        path.write_text(json.dumps({"text": "word " * 50 if name == place else "a"}) + "\n")
    overrides = ["model.sequence_length=8", "data.too_long=drop-any", "data.eval_interval=5"]
    overrides.append(f"data.eval_path={paths['data.eval_path']}")
    run = make_run(tmp_path / "run", paths["data.path"], tiny, *overrides)
    recipe = Recipe.model_validate(json.loads((run / "run.json").read_text())["recipe"])
    (error,) = [e for e in check_loaded(recipe, "r").findings if "none is left" in e.text]
    assert (error.field, error.level) == (place, Level.ERROR)
    with pytest.raises(DataError, match=f"{paths[place]}: no row is left to"):
        prepare(run)
    assert list((run / "data").iterdir()) == []


@pytest.mark.parametrize("place", ["data.path", "data.eval_path"])
def test_more_than_one_percent_are_dropped_only_where_the_recipe_says_any(
    tmp_path: Path, tiny: Path, place: str
) -> None:
    """The stage refuses what `recipe check` calls an error, with the same sentence."""
    long = json.dumps({"text": "word " * 50}) + "\n"
    data, other = tmp_path / "rows.jsonl", tmp_path / "other.jsonl"
    other.write_text('{"text":"b"}\n' * 100)
    overrides = ["model.sequence_length=8", "data.too_long=drop", "data.eval_interval=5"]
    data.write_text('{"text":"a"}\n' * 99 + long)
    paths = (data, other) if place == "data.path" else (other, data)
    overrides.append(f"data.eval_path={paths[1]}")
    one = prepare(make_run(tmp_path / "one", paths[0], tiny, *overrides))
    assert one.dropped == 1

    data.write_text(long + '{"text":"a"}\n' * 98 + long)
    run = make_run(tmp_path / "two", paths[0], tiny, *overrides)
    with pytest.raises(DataError) as caught:
        prepare(run)
    sentence = str(caught.value).removeprefix(f"{data}: ")
    assert sentence.startswith(
        "2 of 100 rows are longer than 8 tokens and dropped (lines 1, 100); at most 1% may be"
    )
    assert not list((run / "data").glob("manifest.json"))
    recipe = Recipe.model_validate(json.loads((run / "run.json").read_text())["recipe"])
    assert sentence in [each.text for each in check_loaded(recipe, "recipe").findings]

    overrides[1] = "data.too_long=drop-any"
    assert prepare(make_run(tmp_path / "any", paths[0], tiny, *overrides)).dropped == 2


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
