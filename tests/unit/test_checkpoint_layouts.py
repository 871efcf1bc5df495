"""The folders that Megatron and Hugging Face leave, at each instant of a save and of a crash.

The write orders are those of real saves, by the modification times of their files.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.model import CheckpointReading
from monitor.probes.checkpoints import CheckpointProbe, read_checkpoints
from monitor.rundir import TRACKER

BRIDGE = (
    "iter_0000044/common.pt",  # 0.4 only
    "iter_0000044/__0_0.distcp",
    "iter_0000044/.metadata",
    "iter_0000044/metadata.json",
    "iter_0000044/train_state.pt",
    "latest_train_state.pt",
    TRACKER,
    "iter_0000044/run_config.yaml",
    "iter_0000044/tokenizer/tokenizer.json",
)
TRAINER = (
    "checkpoint-10/config.json",
    "checkpoint-10/adapter_model.safetensors",
    "checkpoint-10/training_args.bin",
    "checkpoint-10/optimizer.pt",
    "checkpoint-10/scheduler.pt",
    "checkpoint-10/rng_state.pth",
    "checkpoint-10/trainer_state.json",
)
MEGATRON_LM = (
    "iter_0000044/__0_0.distcp",
    "iter_0000044/__0_1.distcp",
    "iter_0000044/.metadata",
    "iter_0000044/metadata.json",
    "iter_0000044/common.pt",
    TRACKER,
)
LEGACY = (
    "iter_0000044/mp_rank_00/model_optim_rng.pt",
    TRACKER,
)


def write(folder: Path, name: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "44" if name == TRACKER else "x" * 10
    if name.endswith("trainer_state.json"):
        content = json.dumps({"global_step": 10, "log_history": []})
    path.write_text(content)


def read(folder: Path) -> CheckpointReading:
    reading = read_checkpoints(folder).value
    assert reading is not None
    return reading


@pytest.mark.parametrize(
    ("order", "whole_with"),
    [
        pytest.param(BRIDGE, "iter_0000044/run_config.yaml", id="Megatron-Bridge 0.4"),
        pytest.param(BRIDGE[1:-1], "iter_0000044/run_config.yaml", id="Megatron-Bridge 0.6"),
        pytest.param(TRAINER, "checkpoint-10/trainer_state.json", id="Hugging Face"),
        pytest.param(MEGATRON_LM, TRACKER, id="Megatron-LM"),
        pytest.param(LEGACY, TRACKER, id="Megatron-LM, its old format"),
    ],
)
def test_a_save_is_whole_with_its_last_file_and_not_before(
    tmp_path: Path, order: tuple[str, ...], whole_with: str
) -> None:
    """A kill may come between any two files; the same probe looks on as they come."""
    probe = CheckpointProbe(tmp_path)
    seen = False
    for name in order:
        write(tmp_path, name)
        seen = seen or name == whole_with
        live = probe.read().value
        assert live is not None
        assert live.checkpoints == read(tmp_path).checkpoints
        assert [each.complete for each in live.checkpoints] == [seen]
    assert seen


def test_killed_between_the_tracker_and_the_configuration(tmp_path: Path) -> None:
    """The iteration was reached, but no resume can use it: the one before it is the last whole."""
    for name in BRIDGE:
        write(tmp_path, name.replace("44", "40"))
    for name in BRIDGE[: BRIDGE.index("iter_0000044/run_config.yaml")]:
        write(tmp_path, name)
    reading = read(tmp_path)
    assert reading.tracker == 44
    assert reading.last_complete is not None
    assert reading.last_complete.iteration == 40
    assert reading.writing_bytes is None


def test_killed_with_its_first_file(tmp_path: Path) -> None:
    for name in BRIDGE:
        write(tmp_path, name.replace("44", "40"))
    write(tmp_path, "iter_0000044/common.pt")
    (tmp_path / TRACKER).write_text("40")
    reading = read(tmp_path)
    assert [each.complete for each in reading.checkpoints] == [True, False]
    assert reading.writing_bytes == 10


def test_a_tracker_of_megatron_lm_vouches_for_no_later_folder(tmp_path: Path) -> None:
    for name in MEGATRON_LM:
        write(tmp_path, name)
    for name in MEGATRON_LM[:-1]:
        write(tmp_path, name.replace("44", "88"))
    assert [each.complete for each in read(tmp_path).checkpoints] == [True, False]


def test_the_tracker_of_bridge_vouches_for_nothing(tmp_path: Path) -> None:
    for name in BRIDGE:
        write(tmp_path, name)
    for name in ("train_state.pt", "run_config.yaml"):
        (tmp_path / "iter_0000044" / name).unlink()
    assert [each.complete for each in read(tmp_path).checkpoints] == [False]


def test_a_save_on_a_signal_is_unfinished_while_it_says_so(tmp_path: Path) -> None:
    for name in TRAINER:
        write(tmp_path, name)
    mark = tmp_path / "checkpoint-10" / "checkpoint-is-incomplete.txt"
    mark.write_text("")
    assert [each.complete for each in read(tmp_path).checkpoints] == [False]
    mark.unlink()
    assert [each.complete for each in read(tmp_path).checkpoints] == [True]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param({"epoch": 0.2, "global_step": 10}, 50.0, id="a fifth of an epoch"),
        pytest.param({"epoch": 2, "global_step": 10}, 5.0, id="two epochs"),
        pytest.param({"epoch": 0, "global_step": 10}, None, id="no epoch yet"),
        pytest.param({"epoch": None, "global_step": 10}, None, id="not known"),
        pytest.param({"global_step": 10}, None, id="none"),
    ],
)
def test_a_trainers_state_tells_how_many_steps_an_epoch_has(
    tmp_path: Path, state: dict[str, float | None], expected: float | None
) -> None:
    probe = CheckpointProbe(tmp_path)
    write(tmp_path, "checkpoint-10/trainer_state.json")
    listed = {"log_history": [{"epoch": 9.0, "step": 3}] * 500}
    (tmp_path / "checkpoint-10" / "trainer_state.json").write_text(
        json.dumps(state | listed, indent=2, sort_keys=True)
    )
    probe.read()
    assert probe.steps_per_epoch == expected


def test_without_a_tracker_the_newest_whole_folder_counts(tmp_path: Path) -> None:
    for name in TRAINER:
        write(tmp_path, name)
    write(tmp_path, "checkpoint-20/optimizer.pt")
    reading = read(tmp_path)
    assert reading.tracker is None
    assert reading.last_complete is not None
    assert reading.last_complete.iteration == 10
    assert reading.writing_bytes == 10


def test_a_tracker_that_is_being_rewritten_keeps_its_last_word(tmp_path: Path) -> None:
    for name in BRIDGE:
        write(tmp_path, name)
    probe = CheckpointProbe(tmp_path)

    def tracked() -> int | None:
        reading = probe.read().value
        assert reading is not None
        return reading.tracker

    assert tracked() == 44
    (tmp_path / TRACKER).write_text("")
    assert tracked() == 44
    (tmp_path / TRACKER).write_text("88")
    assert tracked() == 88
    (tmp_path / TRACKER).unlink()
    assert tracked() is None
