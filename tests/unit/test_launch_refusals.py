"""What a launch refuses before anything is made, got or waited for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from runners.engines.registry import image_size
from runners.errors import EngineError
from runners.launch import LaunchOrder, check_lane
from runners.recipe.demo import demo_corpus_path
from runners.recipe.load import recipe_from_data


def order(root: Path, extra: Path) -> LaunchOrder:
    """Of a run in containers that may read *extra*."""
    settings = ['docker.image="x"', f'docker.read_only=["{extra}"]']
    recipe = recipe_from_data(demo_corpus_path(), "tiny-random-qwen3", settings)
    return LaunchOrder(
        recipe=recipe.model_dump(mode="json"),
        base=None,
        recipe_hash="h",
        lane="reference",
        engine="docker",
        root=root,
        image="x",
    )


def test_a_mount_of_nothing_is_refused_before_an_image_is_pulled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = SimpleNamespace(check=lambda need: None)
    monkeypatch.setattr("runners.launch.get_engine", lambda name: engine)
    check_lane(order(tmp_path, tmp_path))
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for place in (tmp_path / "none", loop):
        with pytest.raises(EngineError, match=f"docker.read_only: {place} cannot be mounted"):
            check_lane(order(tmp_path, place))


def test_a_name_that_makes_no_address_is_one_sentence() -> None:
    """The stage `pull` failed with a class of Python's library for a sentence."""
    with pytest.raises(EngineError, match="the registry localhost:1 does not say what"):
        image_size("localhost:1/x\ny")
