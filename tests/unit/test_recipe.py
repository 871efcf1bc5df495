"""The recipe: defaults, every problem at once, overrides, paths, and what comes with lanewatch."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runners.recipe.base import BaseModelError, resolve_base
from runners.recipe.demo import demo_corpus_path, demo_recipe_path
from runners.recipe.fields import fields, nearest
from runners.recipe.load import RecipeError, load_recipe, recipe_from_data, recipe_hash
from runners.recipe.model import Recipe
from runners.recipe.source import SIZE_LIMIT_BYTES
from runners.recipe.template import render_template

ROOT = Path(__file__).resolve().parents[2]
SMALL = '[data]\npath = "rows.jsonl"\n'


def write(folder: Path, text: str | bytes, name: str = "recipe.toml") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def problems(path: Path, *overrides: str) -> dict[str, str]:
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides)
    return {each.path: str(each) for each in caught.value.problems}


def test_the_defaults_are_the_articles(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, SMALL))
    assert recipe.model.path == "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B"
    assert (recipe.lora.rank, recipe.lora.alpha, recipe.lora.dropout) == (16, 32, 0.05)
    assert recipe.lora.targets == ["q_proj", "k_proj", "v_proj", "o_proj"]
    train = recipe.train
    assert (train.iterations, train.micro_batch, train.accumulation) == (625, 2, 8)
    assert (train.lr, train.schedule, train.warmup) == (1e-4, "cosine", 0.05)
    assert (train.save_interval, train.precision) == (70, "bf16")
    assert recipe.model.sequence_length == 4096


def test_the_template_loads_and_is_the_defaults(tmp_path: Path) -> None:
    loaded = load_recipe(write(tmp_path, render_template()))
    assert loaded == load_recipe(write(tmp_path, '[data]\npath = "train.jsonl"\n'))


def test_the_template_shows_every_field() -> None:
    text = render_template({"train.iterations": "auto"})
    for view in fields().values():
        assert view.description, view.path
        if not view.is_table:
            assert f"{view.path.rpartition('.')[2]} =" in text


def test_a_recipe_survives_its_way_through_run_json(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, SMALL), ["train.iterations=auto"])
    again = Recipe.model_validate_json(recipe.model_dump_json())
    assert again == recipe
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe
    assert recipe_hash(again) == recipe_hash(recipe)


def test_a_number_written_in_another_way_is_the_same_recipe(tmp_path: Path) -> None:
    whole = load_recipe(write(tmp_path, SMALL + "[lora]\nalpha = 32\n"))
    assert recipe_hash(whole) == recipe_hash(load_recipe(write(tmp_path, SMALL)))
    other = load_recipe(write(tmp_path, SMALL + "[lora]\nalpha = 33\n"))
    assert recipe_hash(other) != recipe_hash(whole)


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    text = """
foo = 1
[model]
path = 3
[data]
eval_interval = true
[train]
iterations = "autox"
learning_rate = 3
warmup = 2
[lora]
rank = 0
targets = ["q_proj", 1]
[lanes.refrence]
threads = 2
"""
    found = problems(write(tmp_path, text))
    assert found == {
        "foo": "foo: no such field",
        "model.path": "model.path: is 3; allowed: text in quotes, not empty",
        "data.path": "data.path: missing: JSON Lines file, one row a line; relative to the recipe; "
        "allowed: text in quotes, not empty",
        "data.eval_interval": "data.eval_interval: is true; allowed: a whole number from 0",
        "train.iterations": 'train.iterations: is "autox"; '
        'allowed: a whole number from 1 up to 1000000 or "auto"',
        "train.learning_rate": "train.learning_rate: no such field; did you mean train.lr?",
        "train.warmup": "train.warmup: is 2; allowed: a number from 0 up to 1",
        "lora.rank": "lora.rank: is 0; allowed: a whole number from 1 up to 4096",
        "lora.targets[1]": "lora.targets[1]: is 1; allowed: a list of texts that is not empty",
        "lanes.refrence": "lanes.refrence: no such field; did you mean lanes.reference?",
    }


@pytest.mark.parametrize(
    ("text", "field", "word"),
    [
        pytest.param("[train]\nsave_interval = 700", "train.save_interval", "625", id="no-save"),
        pytest.param(
            "eval_interval = 5", "data.eval_interval", "nothing to evaluate on", id="no-eval-set"
        ),
        pytest.param("eval_fraction = 0.1", "data.eval_interval", "never used", id="never-eval"),
        pytest.param(
            'eval_fraction = 0.1\neval_path = "e"\neval_interval = 9',
            "data.eval_fraction",
            "one of the two",
            id="two-eval-sets",
        ),
        pytest.param(
            "eval_fraction = 0.1\neval_interval = 626",
            "data.eval_interval",
            "more than train.iterations",
            id="eval-after-the-end",
        ),
        pytest.param('[lora]\ntargets = ["a", "a"]', "lora.targets", "twice", id="twice"),
        pytest.param(
            '[train]\niterations = "auto"\nauto_checkpoints = 61',
            "train.auto_checkpoints",
            "auto_min_iterations",
            id="more-checkpoints-than-iterations",
        ),
    ],
)
def test_fields_that_contradict_each_other(
    tmp_path: Path, text: str, field: str, word: str
) -> None:
    found = problems(write(tmp_path, SMALL + text))
    assert list(found) == [field]
    assert word in found[field]


def test_contradictions_are_found_beside_other_problems(tmp_path: Path) -> None:
    text = SMALL + "[train]\nsave_interval = 700\nwarmup = 3\n"
    assert set(problems(write(tmp_path, text))) == {"train.save_interval", "train.warmup"}


@pytest.mark.parametrize(
    ("content", "word"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b" \n\n", "is empty", id="blank"),
        pytest.param(b"\x7fELF\0\0\x01", "not a text file", id="binary"),
        pytest.param(b"\xff\xfe[\x00m", "not a text file", id="utf-16"),
        pytest.param(b"[model\npath", "line 1", id="not-toml-names-the-line"),
        pytest.param(b"a = 1\na = 2\n", "line 2", id="key-twice"),
        pytest.param(b"x = " + b"[" * 90_000, "not TOML", id="nested-without-end"),
        pytest.param(b"x = " + b"9" * 9_000, "not TOML", id="number-without-end"),
    ],
)
def test_a_file_that_is_no_recipe(tmp_path: Path, content: bytes, word: str) -> None:
    path = write(tmp_path, content)
    (text,) = problems(path).values()
    assert word in text
    assert "\n" not in text


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.toml"
    with path.open("wb") as stream:
        stream.truncate(50_000_000)
    (text,) = problems(path).values()
    assert "50,000,000 bytes" in text
    assert SIZE_LIMIT_BYTES < 50_000_000


def test_no_file_a_folder_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no such file" in problems(tmp_path / "none.toml")[""]
    assert "is a folder" in problems(tmp_path)[""]
    assert "not a regular file" in problems(tmp_path / "pipe")[""]
    assert "not a file name" in problems(Path("a\0b"))[""]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    path.chmod(0)
    assert "cannot be read" in problems(path)[""]


def test_overrides_win_and_are_typed(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    recipe = load_recipe(
        path,
        [
            "train.iterations=100",
            "train.lr = 2e-4",
            "train.precision=fp32",
            "lanes.reference.device=cpu",
            'lora.targets=["q_proj"]',
            "lanes.unsloth.load_in_4bit=true",
            "data.path=2024",
        ],
    )
    assert (recipe.train.iterations, recipe.train.lr) == (100, 2e-4)
    assert (recipe.train.precision, recipe.lanes.reference.device) == ("fp32", "cpu")
    assert recipe.lora.targets == ["q_proj"]
    assert recipe.lanes.unsloth.load_in_4bit
    assert recipe.data.path.endswith("/2024")


@pytest.mark.parametrize(
    ("override", "word"),
    [
        pytest.param("train.iteratons=3", "did you mean train.iterations?", id="misspelt"),
        pytest.param("iterations=3", "did you mean train.iterations?", id="without-its-table"),
        pytest.param("max_steps=3", "did you mean train.iterations?", id="another-trainers-name"),
        pytest.param("train=3", "is a table", id="a-table"),
        pytest.param("train.lr", "table.key=value", id="no-value"),
        pytest.param("=3", "table.key=value", id="no-name"),
        pytest.param("train.lr=fast", 'is "fast"', id="not-a-number"),
        pytest.param("train.lr=nan", "above 0", id="not-finite"),
        pytest.param("train.seed=1\nx=2", "whole number", id="two-lines"),
        pytest.param("memory.limit_gib=inf", "above 0", id="infinite"),
    ],
)
def test_an_override_that_cannot_be(tmp_path: Path, override: str, word: str) -> None:
    (text,) = problems(write(tmp_path, SMALL), override).values()
    assert word in text


def test_paths_are_the_recipes_and_the_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, elsewhere = tmp_path / "recipes", tmp_path / "elsewhere"
    (folder / "base").mkdir(parents=True)
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    path = write(folder, SMALL + '[model]\npath = "base"\n')
    recipe = load_recipe(path)
    assert recipe.data.path == str(folder / "rows.jsonl")
    assert recipe.model.path == str(folder / "base")
    assert load_recipe(path, ["data.path=x.jsonl"]).data.path == str(elsewhere / "x.jsonl")
    assert load_recipe(path, ["model.path=tiny-random-qwen3"]).model.path == "tiny-random-qwen3"
    assert load_recipe(path, ["model.path=Qwen/Qwen3-8B"]).model.path == "Qwen/Qwen3-8B"
    assert "no folder here" in problems(path, "model.path=tiny-random")["model.path"]


def test_a_recipe_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = recipe_from_data(Path("rows.jsonl"), "owner/model", ["lora.rank=8"])
    assert recipe.data.path == str(tmp_path / "rows.jsonl")
    assert (recipe.model.path, recipe.lora.rank) == ("owner/model", 8)


@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_file_is_a_recipe_or_a_recipe_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(RecipeError):
        load_recipe(write(tmp_path, content))


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=4,
)


@given(field=st.sampled_from(sorted(fields())), value=VALUES)
@settings(max_examples=150)
def test_any_value_of_any_field_is_accepted_or_named(field: str, value: object) -> None:
    from runners.recipe.paths import put
    from runners.recipe.validate import validate

    data: dict[str, object] = {"data": {"path": "rows.jsonl"}}
    put(data, field, value)
    recipe, found = validate(data)
    assert recipe is not None
    for problem in found:
        assert problem.path.startswith(field) or problem.path in fields()


@given(name=st.text(max_size=20))
def test_a_nearest_name_is_always_a_known_one(name: str) -> None:
    assert nearest(name) is None or nearest(name) in fields()


def test_a_base_folder_must_be_whole(tmp_path: Path) -> None:
    recipe = recipe_from_data(Path("x"), str(tmp_path))
    with pytest.raises(BaseModelError, match=r"lacks config\.json and tokenizer\.json"):
        resolve_base(recipe)
    write(tmp_path, "{}", "config.json")
    write(tmp_path, "{}", "tokenizer.json")
    assert resolve_base(recipe) == tmp_path
    with pytest.raises(BaseModelError, match="there is no folder"):
        resolve_base(recipe_from_data(Path("x"), str(tmp_path / "none")))
    shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = {"weight_map": {"a": shards[0], "b": shards[1]}}
    write(tmp_path, json.dumps(index), "model.safetensors.index.json")
    write(tmp_path, "{}", shards[0])
    with pytest.raises(BaseModelError, match=f"is not whole: .* names {shards[1]}, which it lacks"):
        resolve_base(recipe)


def test_a_hub_model_is_its_newest_whole_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    recipe = recipe_from_data(Path("x"), "owner/model")
    with pytest.raises(BaseModelError, match="the stage `fetch` of a run loads it"):
        resolve_base(recipe)
    snapshots = tmp_path / "hub" / "models--owner--model" / "snapshots"
    for age, name in enumerate(["half", "new", "old"]):
        (snapshots / name).mkdir(parents=True)
        if name != "half":
            for file in ("config.json", "tokenizer.json", "model.safetensors"):
                write(snapshots / name, "{}", file)
        os.utime(snapshots / name, (1e9 - age, 1e9 - age))
    assert resolve_base(recipe) == snapshots / "new"
    (snapshots.parent / "refs").mkdir()
    write(snapshots.parent / "refs", "old\n", "main")
    assert resolve_base(recipe) == snapshots / "old", "as transformers would take it"
    write(snapshots.parent / "refs", "half", "main")
    assert resolve_base(recipe) == snapshots / "new", "its main branch is not whole"
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("HUGGINGFACE_HUB_CACHE", str(tmp_path / "hub"))
    assert resolve_base(recipe) == snapshots / "new"


def test_the_tiny_base_is_made_later() -> None:
    assert resolve_base(recipe_from_data(Path("x"), "tiny-random-qwen3")) is None


def test_both_demo_recipes_are_one() -> None:
    shipped, named = load_recipe(demo_recipe_path()), load_recipe(ROOT / "recipes" / "demo.toml")
    assert shipped == named
    assert shipped.data.path == str(demo_corpus_path())
    assert shipped.train.iterations == "auto"
    assert shipped.lanes.reference.threads == 1


def test_the_articles_recipe_is_shipped_whole() -> None:
    recipe = load_recipe(ROOT / "recipes" / "patent-strategist.toml")
    assert recipe.train == Recipe.model_validate({"data": {"path": "x"}}).train
    assert "metes-and-times" in recipe.data.forbidden_phrases


@pytest.mark.parametrize("script", ["make_recipes", "make_corpus"])
def test_what_is_shipped_is_what_the_scripts_make(
    script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location(script, ROOT / "scripts" / f"{script}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if script == "make_corpus":
        module.main()
        assert capsys.readouterr().out == demo_corpus_path().read_text()
    else:
        for path, text in module.recipes().items():
            assert (ROOT / path).read_text() == text
