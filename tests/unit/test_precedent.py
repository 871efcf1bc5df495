"""The end of a launch, projected from the last run of the same training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runners.precedent import find_precedent
from runners.recipe.demo import demo_recipe_path
from runners.recipe.load import load_recipe


def _recipe(*overrides: str) -> Any:
    return load_recipe(demo_recipe_path(), ("train.iterations=100", *overrides))


def _run(root: Path, at: int, recipe: Any, **summary: Any) -> str:
    folder = root / f"reference-20260521-10000{at}-00ff"
    folder.mkdir(parents=True)
    info = {"recipe": recipe.model_dump(mode="json"), "engine": "local"}
    (folder / "run.json").write_text(json.dumps(info))
    figures = {"lane": "reference", "step_median_s": 2.0, "first_save_s": 10.0} | summary
    (folder / "summary.json").write_text(json.dumps(figures | {"save_median_s": 1.0}))
    return folder.name


def test_the_newest_run_of_the_same_training_projects_the_end(tmp_path: Path) -> None:
    _run(tmp_path, 1, _recipe(), step_median_s=9.0)
    newest = _run(tmp_path, 2, _recipe("train.iterations=10", "train.save_interval=5"))
    _run(tmp_path, 3, _recipe("lora.rank=4"))
    found = find_precedent(tmp_path, _recipe("train.save_interval=50"), "reference", "local")
    assert found is not None
    assert found.run == newest
    assert found.train_s == 100 * 2.0 + 10.0 + 1.0


@pytest.mark.parametrize(
    ("summary", "lane", "engine"),
    [
        pytest.param({}, "unsloth", "local", id="another lane"),
        pytest.param({}, "reference", "docker", id="another engine"),
        pytest.param({"step_median_s": None}, "reference", "local", id="it never got so far"),
        pytest.param({"step_median_s": "fast"}, "reference", "local", id="no number"),
    ],
)
def test_what_is_not_the_same_projects_nothing(
    tmp_path: Path, summary: dict[str, Any], lane: str, engine: str
) -> None:
    _run(tmp_path, 1, _recipe(), **summary)
    assert find_precedent(tmp_path, _recipe(), lane, engine) is None


def test_runs_of_another_lane_do_not_crowd_it_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runners.precedent.LOOKED_AT", 1)
    known = _run(tmp_path, 1, _recipe())
    (tmp_path / "unsloth-20260521-110000-00ff").mkdir()
    found = find_precedent(tmp_path, _recipe(), "reference", "local")
    assert found is not None
    assert found.run == known


def test_an_auto_run_has_no_end_to_project(tmp_path: Path) -> None:
    _run(tmp_path, 1, _recipe())
    recipe = load_recipe(demo_recipe_path())
    assert find_precedent(tmp_path, recipe, "reference", "local") is None
