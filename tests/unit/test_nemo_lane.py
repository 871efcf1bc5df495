"""What the nemo lane decides before Megatron-Bridge is imported: rope, adapter, import, tree."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runners.lanes import get_lane
from runners.lanes.nemo import PINS
from runners.payload.causes import StageError
from runners.payload.exporting import check_shards
from runners.payload.nemo_adapter import adapter_targets
from runners.payload.nemo_imports import (
    base_hash,
    import_folder,
    import_key,
    is_whole,
    mark_whole,
    name_import,
    named_import,
)
from runners.payload.nemo_saves import forget_older, make_tree
from runners.payload.nemo_yarn import doubts, fill_yarn, yarn_fields
from runners.recipe.comparison import compare, refusal
from runners.recipe.model import Recipe
from runners.recipe.nemo_column import nemo_column

ROOT = Path(__file__).parents[2]
ARTICLE = {
    "rope_type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 32768,
    "attn_factor": 0.8782488562869419,
}
"""Of DeepSeek-R1-0528-Qwen3-8B."""

FIVE = {
    "yarn_beta_fast": 32.0,
    "yarn_beta_slow": 1.0,
    "yarn_mscale": 1.0,
    "yarn_mscale_all_dim": 0.0,
    "yarn_correction_range_round_to_int": True,
}
"""What transformers computes with where a config says nothing."""


def provider(**given: Any) -> SimpleNamespace:
    """As Megatron-Bridge leaves it for the article's base."""
    names = ("yarn_rotary_scaling_factor", "yarn_original_max_position_embeddings", *FIVE)
    fields = dict.fromkeys(names) | {
        "position_embedding_type": "yarn",
        "yarn_rotary_scaling_factor": 4.0,
        "yarn_original_max_position_embeddings": 32768,
    }
    return SimpleNamespace(**fields | given)


@pytest.mark.parametrize("table", ["rope_scaling", "rope_parameters"])
def test_the_articles_rope_gets_its_five_fields(table: str) -> None:
    made = provider()
    assert fill_yarn(made, yarn_fields({table: ARTICLE})) == FIVE
    assert made.yarn_correction_range_round_to_int is True
    assert len(doubts({table: ARTICLE})) == 1


def test_only_what_is_missing_is_filled_and_a_config_is_obeyed() -> None:
    rope = ARTICLE | {"beta_fast": 16, "truncate": False}
    made = provider(yarn_mscale=0.7)
    filled = fill_yarn(made, yarn_fields({"rope_scaling": rope}))
    assert set(filled) == set(FIVE) - {"yarn_mscale"}
    assert (made.yarn_mscale, made.yarn_beta_fast) == (0.7, 16)
    assert made.yarn_correction_range_round_to_int is False


def test_another_rope_is_left_alone() -> None:
    plain = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}
    assert (yarn_fields(plain), doubts(plain)) == ({}, [])
    made = provider(position_embedding_type="rope")
    assert fill_yarn(made, FIVE) == {}
    assert made.yarn_beta_fast is None


@pytest.mark.parametrize(
    ("rope", "says"),
    [
        pytest.param({"factor": None}, "has no factor", id="no-factor"),
        pytest.param(
            {"original_max_position_embeddings": None}, "has no original_max", id="no-length"
        ),
        pytest.param({"attention_factor": 1.0}, "another model", id="a-factor-nobody-maps"),
    ],
)
def test_a_rope_that_would_be_another_is_refused(rope: dict[str, Any], says: str) -> None:
    with pytest.raises(StageError, match=says):
        yarn_fields({"rope_scaling": ARTICLE | rope})


def test_an_attention_factor_that_is_the_usual_one_is_no_other_model() -> None:
    usual = ARTICLE | {"attention_factor": 1.1386294361119891}
    assert yarn_fields({"rope_scaling": usual})["yarn_rotary_scaling_factor"] == 4.0


@pytest.mark.parametrize(
    ("targets", "fused", "found"),
    [
        (["q_proj", "k_proj", "v_proj", "o_proj"], False,
         ["linear_q", "linear_k", "linear_v", "linear_proj"]),
        (["o_proj", "v_proj", "k_proj", "q_proj"], True, ["linear_qkv", "linear_proj"]),
        (["down_proj", "up_proj", "gate_proj"], False,
         ["linear_fc1_gate", "linear_fc1_up", "linear_fc2"]),
        (["gate_proj", "up_proj"], True, ["linear_fc1"]),
    ],
)  # fmt: skip
def test_layers_have_other_names_in_megatron(
    targets: list[str], fused: bool, found: list[str]
) -> None:
    assert adapter_targets(targets, fused=fused) == found


@pytest.mark.parametrize(
    ("targets", "fused", "says"),
    [
        (["q_proj", "c_attn"], False, "no layer 'c_attn'"),
        (["q_proj", "k_proj"], True, "q_proj, k_proj, v_proj together or not at all"),
        (["q_proj", "v_proj"], False, "only q_proj, v_proj is named"),
        (["up_proj"], False, "gate_proj, up_proj together or not at all"),
    ],
)
def test_layers_that_cannot_have_an_adapter_are_refused(
    targets: list[str], fused: bool, says: str
) -> None:
    with pytest.raises(StageError, match=says):
        adapter_targets(targets, fused=fused)


def make_base(folder: Path, weights: bytes = b"weights") -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_a_base_is_known_by_its_content_wherever_it_lies(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    one = base_hash(make_base(tmp_path / "one"), lambda *done: seen.append(done))
    assert seen == [(2, 9), (9, 9)]
    assert base_hash(make_base(tmp_path / "two"), lambda *_: None) == one
    assert base_hash(make_base(tmp_path / "other", b"Weights"), lambda *_: None) != one


def test_a_file_of_the_hubs_cache_is_known_by_its_name(tmp_path: Path) -> None:
    import hashlib

    snapshot = make_base(tmp_path / "snapshot")
    weights = snapshot / "model.safetensors"
    plain = base_hash(snapshot, lambda *_: None)
    blob = tmp_path / hashlib.sha256(weights.read_bytes()).hexdigest()
    weights.rename(blob)
    weights.symlink_to(blob)
    assert base_hash(snapshot, lambda *_: None) == plain
    blob.unlink()
    with pytest.raises(StageError, match=r"cannot be read: .*model\.safetensors"):
        base_hash(snapshot, lambda *_: None)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    versions = {"megatron-bridge": "0.4.0", "megatron-core": "0.17.0"}
    monkeypatch.setattr("runners.payload.nemo_imports.installed", lambda name: versions.get(name))
    return import_key("a" * 64, FIVE, "bfloat16")


def test_an_import_is_shared_only_by_those_for_whom_it_is_the_same(
    key: dict[str, Any], tmp_path: Path
) -> None:
    assert key["versions"]["megatron-bridge"] == "0.4.0"
    other = key | {"versions": {"megatron-bridge": "0.4.2", "megatron-core": "0.17.1"}}
    bent = key | {"yarn": FIVE | {"yarn_correction_range_round_to_int": None}}
    found = [import_folder(tmp_path, each) for each in (key, other, bent, key | {"layers": "te"})]
    assert len(set(found)) == 4
    assert import_folder(tmp_path, json.loads(json.dumps(key))) == found[0]


def test_an_import_that_lost_a_file_is_not_used(key: dict[str, Any], tmp_path: Path) -> None:
    folder, work = tmp_path / "nemo-1", tmp_path / "work"
    (folder / "iter_0000000").mkdir(parents=True)
    work.mkdir()
    shard = folder / "iter_0000000" / "__0_0.distcp"
    shard.write_bytes(b"12345")
    with pytest.raises(StageError, match="the import stage has to run first"):
        named_import(work)
    mark_whole(folder, key, tmp_path)
    name_import(work, folder, key)
    assert is_whole(folder, key)
    assert named_import(work) == folder
    assert not is_whole(folder, key | {"layers": "te"})
    shard.write_bytes(b"1234")
    with pytest.raises(StageError, match="gone or not whole"):
        named_import(work)


def test_without_megatron_bridge_the_lane_says_where_it_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runners.payload.nemo_imports.installed", lambda name: None)
    with pytest.raises(StageError, match=r"megatron-bridge is not installed.*NeMo container"):
        import_key("a", {}, "bfloat16")


def save(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in (".metadata", "metadata.json", "train_state.pt", "run_config.yaml", "__0_0.distcp"):
        (folder / name).write_text(name)
    return folder


def test_megatrons_tree_is_made_anew_from_what_is_published(tmp_path: Path) -> None:
    published, tree = save(tmp_path / "checkpoints" / "iter_0000040"), tmp_path / "trainer"
    torn = save(tree / "iter_0000044")
    (torn / "run_config.yaml").unlink()
    (tree / "latest_train_state.pt").write_text("names 44")
    make_tree(tree, published, 40)
    assert sorted(path.name for path in tree.iterdir()) == [
        "iter_0000040",
        "latest_checkpointed_iteration.txt",
        "latest_train_state.pt",
    ]
    assert (tree / "latest_checkpointed_iteration.txt").read_text() == "40"
    assert (tree / "latest_train_state.pt").read_text() == "train_state.pt"
    own = (tree / "latest_train_state.pt").stat().st_ino
    assert own != (published / "train_state.pt").stat().st_ino, "Megatron writes it in place"
    save(tree / "iter_0000050")
    forget_older(tree, 50)
    assert [path.name for path in tree.glob("iter_*")] == ["iter_0000050"]
    make_tree(tree, None, None)
    assert list(tree.iterdir()) == []


def test_a_tree_is_not_made_from_half_a_checkpoint(tmp_path: Path) -> None:
    published = save(tmp_path / "iter_0000040")
    (published / "run_config.yaml").unlink()
    with pytest.raises(StageError, match=r"cannot be resumed from: it lacks run_config\.yaml"):
        make_tree(tmp_path / "trainer", published, 40)


@pytest.mark.parametrize(
    ("names", "usual"),
    [
        (["model.safetensors"], True),
        (["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
          "model.safetensors.index.json"], True),
        (["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"], False),
        (["model-00001-of-00003.safetensors", "model.safetensors.index.json"], False),
        (["weights.safetensors"], False),
        ([], False),
    ],
)  # fmt: skip
def test_an_export_bears_the_names_that_every_loader_knows(
    tmp_path: Path, names: list[str], usual: bool
) -> None:
    for name in names:
        (tmp_path / name).touch()
    if usual:
        check_shards(tmp_path)
    else:
        with pytest.raises(StageError, match="loaders do not know"):
            check_shards(tmp_path)


def recipe(**tables: Any) -> Recipe:
    return Recipe.model_validate({"data": {"path": "/rows"}} | tables)


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({}, "keep it in fp32 alone"),
        ({"lanes": {"nemo": {"lora": "fused"}}}, "q, k and v share one A"),
        ({"lora": {"targets": ["q_proj", "x"]}}, "cannot train this recipe: lora.targets"),
        ({"train": {"iterations": "auto"}}, 'cannot train this recipe: train.iterations = "auto"'),
        ({"train": {"report_to": ["mlflow"]}}, "tensorboard and wandb, not mlflow"),
    ],
)
def test_what_the_lane_makes_of_a_recipe_is_said_before_a_launch(
    tables: dict[str, Any], says: str
) -> None:
    assert says in "\n".join(nemo_column(recipe(**tables), None))


def test_fp32_and_an_evaluation_are_told_as_they_are() -> None:
    data = {"path": "/rows", "eval_interval": 5, "eval_fraction": 0.1}
    told = "\n".join(nemo_column(recipe(data=data, train={"precision": "fp32"}), None))
    assert "evaluation loss: the mean over tokens" in told
    assert "fp32 alone" not in told


def test_the_extra_is_the_lanes_own_pins() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = [each.partition(";")[0] for each in project["optional-dependencies"]["nemo"]]
    assert extra == [f"{name}=={version}" for name, version in PINS.items()]


def test_the_lanes_stages_by_recipe() -> None:
    lane = get_lane("nemo")
    assert lane.image == "nvcr.io/nvidia/nemo:26.04.00"
    plain = recipe().model_dump(mode="json")
    tiny = recipe(model={"path": "tiny-random-qwen3"}).model_dump(mode="json")
    names = [plan.stage.value for plan in lane.stages(plain, smoke=False)]
    assert names == ["prepare", "import", "train", "merge"]
    names = [plan.stage.value for plan in lane.stages(tiny, smoke=True)]
    assert names == ["fetch", "prepare", "import", "train"]


def test_a_recipe_that_the_lane_cannot_train_is_refused_before_anything_is_imported() -> None:
    alone = recipe(lora={"targets": ["q_proj", "v_proj"]})
    assert "together or not at all" in str(refusal(alone, "nemo"))
    assert refusal(alone, "reference") is None
    assert refusal(recipe(), "nemo") is None
    for factor, says in ((1.5, "would train another model"), ("x", "cannot be read")):
        config = {"rope_parameters": ARTICLE | {"attention_factor": factor}}
        assert says in str(refusal(recipe(), "nemo", config))
        assert says in "\n".join(compare(recipe(), config).differs["nemo"])
        assert refusal(recipe(), "unsloth", config) is None
