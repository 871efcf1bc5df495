"""A checkpoint that was damaged after it was published is passed over, not resumed from."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from runners.checkpoint_files import damage, unmergeable, unresumable


def safetensors(tensor_bytes: int = 64) -> bytes:
    entry = {"dtype": "F32", "shape": [tensor_bytes // 4], "data_offsets": [0, tensor_bytes]}
    header = json.dumps({"__metadata__": {"format": "pt"}, "w": entry}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(tensor_bytes)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "iter_0000010"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(safetensors())
    (folder / "trainer_state.json").write_text('{"global_step": 10}')
    return folder


def weights(folder: Path) -> Path:
    return folder / "adapter_model.safetensors"


def test_a_checkpoint_as_it_was_published(checkpoint: Path) -> None:
    assert damage(checkpoint) is None


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        pytest.param(lambda f: weights(f).write_bytes(b""), "is cut short", id="emptied"),
        pytest.param(
            lambda f: weights(f).write_bytes(safetensors()[:-1]), "is cut short", id="one byte less"
        ),
        pytest.param(
            lambda f: weights(f).write_bytes(b"\xff" * 200), "is cut short", id="overwritten"
        ),
        pytest.param(
            lambda f: weights(f).write_bytes((4).to_bytes(8, "little") + b"nope"),
            "no readable header",
            id="a header that is no JSON",
        ),
        pytest.param(
            lambda f: (f / "trainer_state.json").unlink(), "lacks trainer_state", id="state gone"
        ),
        pytest.param(lambda f: [path.unlink() for path in f.iterdir()], "is empty", id="all gone"),
    ],
)
def test_damage_is_named(checkpoint: Path, harm: Callable[[Path], object], says: str) -> None:
    harm(checkpoint)
    assert says in (damage(checkpoint) or "")


def test_a_folder_that_is_gone_is_damage_too(tmp_path: Path) -> None:
    assert "cannot be read" in (damage(tmp_path / "iter_0000001") or "")


def test_a_checkpoint_without_its_adapter_is_not_merged(checkpoint: Path) -> None:
    """The export was begun, and its failure became that of a run that had finished."""
    assert unmergeable(checkpoint) == "iter_0000010 lacks adapter_config.json"
    (checkpoint / "adapter_config.json").write_text("{}")
    assert unmergeable(checkpoint) is None
    weights(checkpoint).unlink()
    assert unmergeable(checkpoint) == "iter_0000010 lacks adapter_model.safetensors"
    (checkpoint / "trainer_state.json").unlink()
    assert unmergeable(checkpoint) is None, "Megatron's checkpoints hold other files"


def archive() -> bytes:
    """As torch.save writes one."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        made.writestr("archive/data.pkl", b"state" * 50)
    return content.getvalue()


@pytest.fixture(params=["trainer", "megatron"])
def resumable(request: pytest.FixtureRequest, checkpoint: Path) -> Path:
    names = ["optimizer.pt", "scheduler.pt", "rng_state.pth"]
    if request.param == "megatron":
        for path in checkpoint.iterdir():
            path.unlink()
        (checkpoint / "metadata.json").write_text("{}")
        (checkpoint / "__0_0.distcp").write_bytes(b"x")
        names = ["train_state.pt"]
    for name in names:
        (checkpoint / name).write_bytes(archive())
    return checkpoint


def test_a_training_goes_on_only_from_all_that_it_had(resumable: Path) -> None:
    assert unresumable(resumable) is None
    for path in sorted(resumable.glob("*.pt*")):
        whole = path.read_bytes()
        path.write_bytes(whole[:-30])
        assert unresumable(resumable) == f"iter_0000010/{path.name} is cut short"
        path.unlink()
        if path.name != "train_state.pt":  # without it no Megatron checkpoint is taken for one
            assert unresumable(resumable) == f"iter_0000010 lacks {path.name}"
        assert damage(resumable) is None, "it can still be merged"
        path.write_bytes(whole)
    for path in resumable.glob("*.distcp"):
        path.write_bytes(b"")
        assert "lacks a part of its state" in (unresumable(resumable) or "")
