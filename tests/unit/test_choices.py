"""What can be picked for a launch, found on a real disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runners.choices import (
    CachedModel,
    cached_models,
    describe_rows,
    nearby_recipes,
    nearby_rows,
    recent_launches,
    remember_launch,
)
from runners.recipe.demo import demo_recipe_path

ROW = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho\nho"}]}


def _model(cache: Path, name: str, *, whole: bool) -> None:
    folder = cache / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (folder / "blobs").mkdir()
    (folder / "blobs" / "weights").write_bytes(b"x" * 1000)
    for file in ("config.json", "tokenizer.json"):
        (snapshot / file).write_text("{}")
    if whole:
        (snapshot / "model.safetensors").symlink_to(folder / "blobs" / "weights")


def test_cached_models_say_their_size_and_whether_they_are_whole(tmp_path: Path) -> None:
    _model(tmp_path, "a/whole", whole=True)
    _model(tmp_path, "b/half", whole=False)
    (tmp_path / "datasets--x").mkdir()
    assert cached_models(tmp_path) == [
        CachedModel(name="a/whole", size_bytes=1000, whole=True),
        CachedModel(name="b/half", size_bytes=1000, whole=False),
    ]
    assert cached_models(tmp_path / "none") == []


def test_rows_are_counted_and_the_first_is_rendered(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{json.dumps(ROW)}\n\n{json.dumps(ROW)}\n")
    found = describe_rows(path)
    assert found is not None
    assert (found.rows, found.shape) == (2, "messages")
    assert found.first == "user: Hi | assistant: Ho ho"


def test_blank_lines_in_front_of_the_rows_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f"\n  \n{json.dumps(ROW)}\n{json.dumps(ROW)}\n")
    found = describe_rows(path)
    assert found is not None
    assert (found.rows, found.shape) == (2, "messages")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b'{"other": 1}\n', "has no known shape", id="another shape"),
        pytest.param(b"not json\n", "line 1 is not JSON", id="no JSON"),
        pytest.param(b"\n \n{}\n", "line 3 has no known shape", id="blank lines in front of it"),
        pytest.param(b"", "it has no rows", id="an empty file"),
        pytest.param(b"\n\n", "it has no rows", id="nothing but blank lines"),
    ],
)
def test_rows_that_cannot_be_used_say_why(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    found = describe_rows(path)
    assert found is not None
    assert found.shape is None
    assert why in found.first


def test_what_is_no_text_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\x1f\x8b rest")
    (tmp_path / "b.jsonl").mkdir()
    assert list(nearby_rows(tmp_path)) == []


def test_recent_rows_come_first_and_once(tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    for folder in (near, near / "deep" / "er", near / ".hidden", far):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rows.jsonl").write_text(json.dumps(ROW))
    recent = [str(far / "rows.jsonl"), str(near / "rows.jsonl"), str(far / "gone.jsonl")]
    found = [each.path for each in nearby_rows(near, recent)]
    assert found == [*recent[:2], str(near / "deep" / "er" / "rows.jsonl")]


def test_recipes_are_told_from_other_toml(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[data]\npath = "x"\n')
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    (tmp_path / "broken.toml").write_text("[")
    found = list(nearby_recipes(tmp_path))
    assert found == [
        (str(demo_recipe_path()), "shipped"),
        (str(tmp_path / "mine.toml"), "yours"),
    ]
    again = list(nearby_recipes(tmp_path, [str(tmp_path / "mine.toml")]))
    assert again == [
        (str(tmp_path / "mine.toml"), "recent"),
        (str(demo_recipe_path()), "shipped"),
    ]


def test_launches_are_remembered_newest_first_and_once(tmp_path: Path) -> None:
    for said in (["launch", "a"], ["launch", "b"], ["launch", "a"]):
        remember_launch(tmp_path, said)
    assert recent_launches(tmp_path) == [["launch", "a"], ["launch", "b"]]


@pytest.mark.parametrize("content", ["", "[]", '{"launches": [1, [2], []]}', "{"])
def test_a_broken_memory_is_no_memory(tmp_path: Path, content: str) -> None:
    (tmp_path / ".recent.json").write_text(content)
    assert recent_launches(tmp_path) == []
    remember_launch(tmp_path / "no" / "folder", ["launch"])  # nothing is raised
