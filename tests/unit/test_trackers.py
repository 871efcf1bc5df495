"""What train.report_to names has its package, or it is told before hours of other stages."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runners.doctor.image_trial import Trial, tracker_checks
from runners.doctor.stack import local_trackers
from runners.engines.base import Container, Need, StageRequest
from runners.engines.docker_request import environment
from runners.engines.local import LocalEngine
from runners.errors import EngineError
from runners.lanes import get_lane
from runners.payload.causes import StageError
from runners.payload.lane_packages import environment_key, wanted_packages
from runners.payload.trackers import LOCKS, require
from runners.recipe.load import RecipeError, load_recipe
from runners.trackers import PAYLOAD, tracker_modules

DEMO = Path(__file__).parents[2] / "recipes" / "demo.toml"
BOARDS = ("tensorboard", "tensorboardX")


def recipe(*names: str, **lanes: Any) -> dict[str, Any]:
    return {"model": {"path": "/m"}, "train": {"report_to": [*names]}, "lanes": lanes}


@pytest.mark.parametrize(
    ("lane", "given", "modules"),
    [
        pytest.param("reference", recipe(), {}, id="to nobody"),
        pytest.param("reference", recipe("tensorboard"), {"tensorboard": BOARDS}, id="either"),
        pytest.param("unsloth", recipe("tensorboard"), {}, id="the lane installs it"),
        pytest.param("unsloth", recipe("wandb"), {"wandb": ("wandb",)}, id="and no other"),
        pytest.param(
            "unsloth",
            recipe("tensorboard", unsloth={"packages": "interpreter"}),
            {"tensorboard": BOARDS},
            id="not where it installs nothing",
        ),
        pytest.param(
            "nemo",
            recipe("tensorboard", "wandb"),
            {"tensorboard": ("tensorboard",), "wandb": ("wandb",)},
            id="Megatron writes with TensorBoard's own",
        ),
    ],
)
def test_what_has_to_be_there_before_a_lane_can_report(
    lane: str, given: dict[str, Any], modules: dict[str, tuple[str, ...]]
) -> None:
    assert tracker_modules(given, lane) == modules


def test_a_recipe_that_names_none_that_is_known_lists_them() -> None:
    with pytest.raises(RecipeError, match=r"no tracker 'wandbb' is known: tensorboard, wandb"):
        load_recipe(DEMO, ['train.report_to=["wandbb"]'])
    assert load_recipe(DEMO, ['train.report_to=["wandb"]']).train.report_to == ["wandb"]


def test_a_python_without_it_is_refused_and_any_of_its_packages_will_do() -> None:
    need = Need(lane="reference", modules=("json",), extra="", python=sys.executable)
    LocalEngine().check(replace(need, trackers={"x": ("no_such_package", "json")}))
    with pytest.raises(EngineError, match=r"names x, and .* has no no_such or nor_this: install"):
        LocalEngine().check(replace(need, trackers={"x": ("no_such", "nor_this")}))


def test_the_doctor_has_a_line_for_it_where_the_recipe_names_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert list(local_trackers(recipe(), "reference", None)) == []
    known = {"there": ("json",), "absent": ("no_such",)}
    monkeypatch.setattr("runners.payload.trackers.MODULES", known)
    (line,) = local_trackers(recipe("there"), "reference", None)
    assert (line.name, line.level) == ("report_to", "ok")
    (line,) = local_trackers(recipe("there", "absent"), "reference", None)
    assert (line.level, line.overridable) == ("fail", False)
    assert "names absent" in line.seen
    assert "install no_such there, or take absent out" in (line.remedy or "")


@pytest.mark.parametrize(
    ("trial", "levels"),
    [
        pytest.param(Trial(), [], id="nothing was asked"),
        pytest.param(Trial(trackers={"wandb": True}), ["ok"], id="it is there"),
        pytest.param(Trial(trackers={"wandb": False, "x": True}), ["fail"], id="one is not"),
        pytest.param(Trial(problem="no answer"), ["warn"], id="it could not be asked"),
    ],
)
def test_what_the_image_told_of_them(trial: Trial, levels: list[str]) -> None:
    assert [each.level.value for each in tracker_checks(trial)] == levels


def test_the_first_stage_in_an_image_says_it_before_anything_slow() -> None:
    require(recipe("wandb"), "unsloth", "py", brought=["wandb"])
    with pytest.raises(StageError, match="names mlflow, and py has no mlflow"):
        require(recipe("mlflow"), "reference", "py")


def test_a_tracker_makes_another_environment_and_none_leaves_it_as_it_was() -> None:
    def key(*names: str) -> dict[str, Any]:
        stages = get_lane("unsloth").stages(recipe(*names), smoke=False)
        (packages,) = [each.packages for each in stages if each.packages is not None]
        assert packages is not None
        told = {"lane": "unsloth", "lock": packages.lock, "more": packages.more, "imports": ["x"]}
        return environment_key(wanted_packages(told))

    plain, reporting = key(), key("tensorboard")
    (more,) = set(reporting["lock"]) - set(plain["lock"])
    assert more.startswith("tensorboardx==")
    assert key("wandb") == plain
    assert all((PAYLOAD / name).is_file() for name in LOCKS.values())


@pytest.mark.parametrize(("network", "mode"), [(False, "offline"), (True, None)])
def test_without_a_network_a_tracker_keeps_its_files_in_the_run(
    tmp_path: Path, network: bool, mode: str | None
) -> None:
    request = StageRequest(
        run="r", folder=tmp_path, attempt=1, stage="train", argv=("python3",), env={},
        cwd=tmp_path / "work", log=tmp_path / "log", lock=tmp_path / "lock",
        container=Container(image="i", network=network),
    )  # fmt: skip
    told = environment(request)
    assert told.get("WANDB_MODE") == mode
    assert told["WANDB_DIR"].startswith(str(tmp_path))
