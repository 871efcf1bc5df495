"""A checkpoint that was damaged after it was published is passed over, not resumed from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from runners.checkpoint_files import damage


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
