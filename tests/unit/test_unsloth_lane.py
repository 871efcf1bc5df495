"""The unsloth lane as far as it can be known without Unsloth: stages, pins, fused kernels."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from examined import launch

from monitor.model import Stage
from monitor.rundir import RunDir
from runners.doctor.facts import DriverFacts
from runners.doctor.machine_checks import driver_check
from runners.doctor.values import Level
from runners.engines.base import Access, Gpu
from runners.lanes import get_lane
from runners.payload.lane_packages import normal, pins
from runners.payload.unsloth_paths import expected_groups, fast_path
from runners.recipe.model import Recipe
from runners.stages import Plan

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "runners" / "payload" / "unsloth.lock.txt"
MLP = ["gate_proj", "up_proj", "down_proj"]


def recipe(model: str = "/base", **tables: Any) -> dict[str, Any]:
    given = {"model": {"path": model}, "data": {"path": "/rows"}} | tables
    return Recipe.model_validate(given).model_dump(mode="json")


def stages(of: dict[str, Any], *, smoke: bool = False) -> dict[Stage, Any]:
    return {each.stage: each for each in get_lane("unsloth").stages(of, smoke=smoke)}


@pytest.mark.parametrize(
    ("model", "smoke", "expected"),
    [
        pytest.param("/base", False, "prepare import train merge", id="data is looked at first"),
        pytest.param(
            "tiny-random-qwen3",
            False,
            "import fetch prepare train merge",
            id="the tiny base is made with the lane's own packages",
        ),
        pytest.param("/base", True, "prepare import train", id="a smoke run merges nothing"),
    ],
)
def test_the_stages_of_the_unsloth_lane(model: str, smoke: bool, expected: str) -> None:
    assert " ".join(stages(recipe(model), smoke=smoke)) == expected


def test_only_the_import_may_write_the_cache_and_use_the_network() -> None:
    found = stages(recipe("tiny-random-qwen3"))
    inside = {stage: each for stage, each in found.items() if not each.on_host}
    assert {s for s, each in inside.items() if each.cache is Access.WRITE} == {Stage.IMPORT}
    assert {s for s, each in inside.items() if each.cache is Access.READ} == inside.keys() - {
        Stage.IMPORT
    }
    assert {s for s, each in inside.items() if each.network} == {Stage.IMPORT}
    assert found[Stage.TRAIN].gpu is Gpu.IF_THERE
    own = stages(recipe(lanes={"unsloth": {"packages": "interpreter"}}))
    assert own[Stage.IMPORT].packages.source == "interpreter"
    assert not own[Stage.IMPORT].network


def test_before_there_is_a_base_the_import_asks_for_none_and_offline_for_no_network(
    tmp_path: Path,
) -> None:
    info = {
        "lane": "unsloth",
        "recipe": recipe("tiny-random-qwen3"),
        "recipe_hash": "h",
        "image": {"name": "image", "id": "sha256:1"},
        "paths": {"base": "/run/base", "cache": "/cache"},
        "wheelhouse": "/wheels",
    }
    plan = Plan(RunDir(tmp_path), info)
    asked = {each.stage: plan.request(each, 1).container for each in plan.stages}
    made = asked[Stage.IMPORT]
    assert made is not None
    assert Path("/run/base") not in made.read_only
    assert Path("/wheels") in made.read_only
    assert Path("/cache") in made.writable
    assert made.network is False
    train = asked[Stage.TRAIN]
    assert train is not None
    assert {Path("/run/base"), Path("/cache")} <= {*train.read_only}
    assert Path("/wheels") not in train.read_only
    packages = plan.job(plan.stages[1], 1)["packages"]
    assert (packages["image"], packages["wheelhouse"]) == ("sha256:1", "/wheels")


def test_the_extra_is_made_of_the_lock() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = pins("\n".join(extras["optional-dependencies"]["unsloth"]))
    reference = pins("\n".join(extras["optional-dependencies"]["reference"]))
    own = LOCK.read_text().split("# What they need besides.")[0]
    assert extra == pins(own) | {"torch": reference["torch"]}
    assert extra.items() >= reference.items(), "a base is made and merged by the same transformers"


def test_the_lock_leaves_what_belongs_to_the_image_alone() -> None:
    named = pins(LOCK.read_text()).keys()
    image = {"torch", "triton", "numpy", "torchvision", "torchao", "flash-attn"}
    assert not named & image
    assert not [name for name in named if name.startswith("nvidia")]
    assert [normal(each) for each in re.findall(r"^([\w.-]+)==", LOCK.read_text(), re.M)] == [
        *pins(LOCK.read_text())
    ], "each named once"


ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]


@pytest.mark.parametrize(
    ("targets", "groups", "says"),
    [
        pytest.param(ATTENTION, ["qkv", "o"], None, id="the article's"),
        pytest.param([*ATTENTION, *MLP], ["qkv", "o", "mlp"], None, id="all linear layers"),
        pytest.param(
            ["q_proj", "v_proj"], [], "q_proj, v_proj without the rest", id="half a group"
        ),
    ],
)
def test_a_fused_kernel_needs_its_whole_group(
    targets: list[str], groups: list[str], says: str | None
) -> None:
    made = recipe(lora={"targets": targets})
    assert expected_groups(made) == groups
    reason = fast_path(groups, made, device="cuda")["reason"]
    assert (says in reason) if says else reason is None


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        pytest.param({"train": {"precision": "fp32"}}, "float32", id="a base of 32 bits"),
        pytest.param({"lanes": {"unsloth": {"fused_lora": False}}}, "fused_lora", id="asked for"),
    ],
)
def test_what_rules_the_fused_kernels_out(tables: dict[str, Any], says: str) -> None:
    made = recipe(**tables)
    assert expected_groups(made) == []
    found = fast_path((), made, device="cuda")
    assert found["on"] is False
    assert says in found["reason"]


def test_on_a_cpu_there_is_no_fast_path_whatever_the_recipe() -> None:
    found = fast_path((), recipe(), device="cpu")
    assert found == {"on": False, "fused": [], "reason": found["reason"]}
    assert "no GPU" in found["reason"]


@pytest.mark.parametrize(
    ("lane", "gpu", "variables"),
    [
        pytest.param({}, Gpu.IF_THERE, {}, id="what is there"),
        pytest.param({"device": "cpu"}, Gpu.NONE, {"UNSLOTH_FORCE_CPU": "1"}, id="a CPU"),
        pytest.param(
            {"device": "cuda"}, Gpu.REQUIRED, {"UNSLOTH_DISABLE_CPU_FALLBACK": "1"}, id="a GPU"
        ),
        pytest.param(
            {"fused_lora": False}, Gpu.IF_THERE, {"UNSLOTH_FUSED_LORA_DROPOUT": "0"}, id="unfused"
        ),
    ],
)
def test_what_unsloth_is_told_when_it_is_imported(
    lane: dict[str, Any], gpu: Gpu, variables: dict[str, str]
) -> None:
    found = stages(recipe(lanes={"unsloth": lane}))
    for stage in (Stage.IMPORT, Stage.TRAIN):
        assert found[stage].gpu is gpu
        env = dict(found[stage].env)
        told = {name: env[name] for name in env if name.startswith("UNSLOTH_")}
        usual = {
            "UNSLOTH_DISABLE_STATISTICS": "1",
            "UNSLOTH_DISABLE_AUTO_PADDING_FREE": "1",
            "UNSLOTH_FUSED_LORA_DROPOUT": "1",
        }
        assert told == usual | variables


def test_told_to_use_the_cpu_it_needs_no_driver() -> None:
    given = launch(lane="unsloth", recipe=recipe(lanes={"unsloth": {"device": "cpu"}}))
    assert driver_check(DriverFacts(), given).level is Level.OK
    assert driver_check(DriverFacts(), launch(lane="unsloth")).level is Level.FAIL
