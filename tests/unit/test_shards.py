"""The weight files of a model: which count, whether they are whole, and under which names."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from runners.payload.causes import StageError
from runners.payload.exporting import check_shards, compare
from runners.payload.shards import (
    linear_layers,
    name_as_usual,
    read_tensors,
    unmatched,
    weight_files,
)


def write(path: Path, *names: str, size: int = 2) -> None:
    """A safetensors file of bf16 matrices, *size* x *size*."""
    each = 2 * size * size
    header = {
        name: {
            "dtype": "BF16",
            "shape": [size, size],
            "data_offsets": [number * each, (number + 1) * each],
        }
        for number, name in enumerate(names)
    }
    text = json.dumps(header | {"__metadata__": {"format": "pt"}}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(each * len(names)))


def index(folder: Path, **places: str) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


def test_what_no_loader_reads_is_no_part_of_a_model(tmp_path: Path) -> None:
    write(tmp_path / "consolidated.safetensors", "layers.0.wq.weight")
    assert [*read_tensors(tmp_path)] == ["layers.0.wq.weight"], "all that there is"
    for number in (1, 2):
        write(tmp_path / f"model-0000{number}-of-00002.safetensors", f"{number}.weight")
    index(
        tmp_path,
        **{f"{each}.weight": f"model-0000{each}-of-00002.safetensors" for each in (1, 2)},
    )
    assert sorted(read_tensors(tmp_path)) == ["1.weight", "2.weight"], "those of the index"
    write(tmp_path / "model.safetensors", "whole.weight")
    assert [path.name for path in weight_files(tmp_path)] == ["model.safetensors"]


def test_a_file_that_is_cut_off_or_gone_is_one_sentence(tmp_path: Path) -> None:
    write(tmp_path / "model.safetensors", "a.weight", "b.weight")
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-5])
    with pytest.raises(StageError, match="no whole safetensors file: 5 bytes are missing"):
        read_tensors(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    index(tmp_path, a="model-00001-of-00001.safetensors")
    with pytest.raises(StageError, match=r"00001.safetensors cannot be read: No such file"):
        read_tensors(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["part1", "part2"], id="strange"),
        pytest.param(["model-00002-of-00002", "model-00001-of-00003"], id="each other's"),
        pytest.param(["model", "taken-along"], id="one more"),
        pytest.param(["weights"], id="a single one"),
    ],
)
def test_an_export_gets_the_names_that_every_loader_knows(tmp_path: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        write(tmp_path / f"{name}.safetensors", f"{number}.weight")
    write(tmp_path / "empty.safetensors")
    index(tmp_path, **{"0.weight": "gone.safetensors", "lost.weight": "gone.safetensors"})
    name_as_usual(tmp_path)
    check_shards(tmp_path)
    assert sorted(read_tensors(tmp_path)) == [f"{each}.weight" for each in range(len(names))]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    name_as_usual(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_target_has_to_name_a_layer(tmp_path: Path) -> None:
    names = [f"model.layers.{each}.self_attn.q_proj.weight" for each in range(2)]
    write(tmp_path / "model.safetensors", *names, "model.embed_tokens.weight")
    layers = linear_layers(read_tensors(tmp_path))
    assert layers == [name.removesuffix(".weight") for name in names]
    assert unmatched(["q_proj", "self_attn.q_proj", "layers.1.self_attn.q_proj"], layers) == []
    wrong = ["proj", "qproj", "all-linear", "embed_tokens"]
    assert unmatched(["q_proj", *wrong], layers) == wrong


def test_a_whole_number_of_the_base_stays_one() -> None:
    base = {"a.weight": ("F32", (4,)), "steps": ("I64", ())}
    compare(base, {"a.weight": ("BF16", (4,)), "steps": ("I64", ())})
    with pytest.raises(StageError, match="is I32"):
        compare(base, {"a.weight": ("BF16", (4,)), "steps": ("I32", ())})
