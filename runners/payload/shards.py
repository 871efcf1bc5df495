"""The .safetensors files of a model folder: which of them count, and under which names.

The rule: what a loader reads is the model; other weights that lie in the folder are none of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from .causes import StageError
from .files import encode, read_object, replace

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"

Tensors = Mapping[str, tuple[str, tuple[int, ...]]]
"""(dtype, shape) by name."""


def weight_files(folder: Path) -> list[Path]:
    """The files of *folder* that hold the model, as transformers chooses them; [] without any.

    Some models are there twice: Mistral's also as consolidated.safetensors, in other words.
    """
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    parts = (read_object(folder / INDEX) or {}).get("weight_map")
    if isinstance(parts, dict) and parts:
        return [folder / name for name in sorted({str(each) for each in parts.values()})]
    return sorted(folder.glob("*.safetensors"))


def read_tensors(folder: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return (dtype, shape) by name of every tensor of the model in *folder*.

    Reads headers alone. Raises StageError on a file that is missing or not whole.
    """
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for path in weight_files(folder):
        found |= read_header(path)
    return found


def read_header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The same of one file: 8 bytes of length, then JSON, then as many bytes as that says."""
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(min(length, size)))
        header.pop("__metadata__", None)
        end = max((each["data_offsets"][1] for each in header.values()), default=0)
        if size < 8 + length + end:
            raise ValueError(f"{8 + length + end - size:,} bytes are missing")
        return {name: (each["dtype"], tuple(each["shape"])) for name, each in header.items()}
    except OSError as error:
        raise StageError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise StageError(f"{path} is no whole safetensors file: {error}") from error


def name_as_usual(folder: Path) -> None:
    """Give the weights in *folder*, a model just written, the names that every loader knows.

    The index is made anew from what the files hold; one that holds nothing is deleted. Raises
    StageError and OSError.
    """
    files = {path: read_header(path) for path in sorted(folder.glob("*.safetensors"))}
    for path in [path for path, held in files.items() if not held]:
        path.unlink()
        del files[path]
    count = len(files)
    if count <= 1:
        (folder / INDEX).unlink(missing_ok=True)
        for path in files:
            path.rename(folder / SINGLE)
        return
    # First aside, then into place: an old name of one may be the new name of another.
    aside = [(path.rename(path.with_suffix(".part")), held) for path, held in files.items()]
    places: dict[str, str] = {}
    for number, (path, held) in enumerate(aside, 1):
        name = f"model-{number:05}-of-{count:05}.safetensors"
        path.rename(folder / name)
        places |= dict.fromkeys(held, name)
    sizes = [(folder / name).stat().st_size for name in set(places.values())]
    index = {"metadata": {"total_size": sum(sizes)}, "weight_map": dict(sorted(places.items()))}
    replace(folder / INDEX, encode(index), durable=False)


def packed(config: Mapping[str, Any]) -> str | None:
    """Say that the base which *config* (its config.json) tells of is quantised, or None."""
    told = config.get("quantization_config")
    if not isinstance(told, Mapping) or not told:
        return None
    method = str(told.get("quant_method") or "unknown")[:30]
    return (
        f"it is quantised already ({method}), and nothing can be merged into it in bf16; name the "
        "16-bit model that it was made from"
    )


def eight_bits(tensors: Tensors) -> str | None:
    """Say that the base's layers are of 8 bits though its config.json tells of none, or None.

    Without their scales, which a loader then does not look for, such numbers mean nothing.
    """
    layers = {tensors[f"{name}.weight"][0] for name in linear_layers(tensors)}
    found = sorted(each for each in map(str, layers) if each.startswith(("F8", "I8", "U8")))
    if not found:
        return None
    return (
        f"its layers are of 8 bits ({found[0]}), and config.json says nothing of a quantisation; "
        "name the 16-bit model that it was made from"
    )


def lost_tensors(folder: Path, tensors: Tensors) -> list[str]:
    """Names that the index of the model in *folder* promises and none of its files holds.

    A loader fills them with chance.
    """
    if (folder / SINGLE).is_file():
        return []  # then nobody reads the index
    parts = (read_object(folder / INDEX) or {}).get("weight_map")
    return sorted(set(parts) - set(tensors)) if isinstance(parts, dict) else []


def linear_layers(tensors: Tensors) -> list[str]:
    """Whole names of what has a matrix as its weight, embeddings apart: adapters go onto these."""
    return [
        name.removesuffix(".weight")
        for name, (_, shape) in tensors.items()
        if name.endswith(".weight") and len(shape) == 2 and "embed" not in name
    ]


def unmatched(targets: Iterable[str], names: Collection[str]) -> list[str]:
    """Those of *targets* (lora.targets) that name none of the layers *names*, as peft matches."""
    return [
        each
        for each in targets
        if not any(name == each or name.endswith(f".{each}") for name in names)
    ]
