"""Look at what a launch needs: the base model, the trainer's packages. Reads; downloads nothing."""

from __future__ import annotations

import importlib.metadata
import json
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from monitor.files import read_json
from runners.doctor.base_shape import BaseShape, shape_from
from runners.doctor.facts import BaseFacts
from runners.payload import make_tiny
from runners.payload.shards import read_tensors, weight_files
from runners.payload.tiny_tokenizer import VOCABULARY
from runners.recipe.base import (
    NO_WEIGHTS,
    BaseModelError,
    base_or_hub,
    has_weights,
    weight_problems,
)
from runners.recipe.model import TINY_MODEL, Recipe

PACKAGES = (
    "torch", "torchao", "torchvision", "transformers", "peft", "trl", "datasets", "bitsandbytes",
    "unsloth", "nemo", "nemo-toolkit", "megatron-bridge", "pynvml", "nvidia-ml-py",
)  # fmt: skip
"""The landmines ask for these."""

PYTHON_S = 20.0
TEMPLATE_BYTES = 1 << 20


def read_base(recipe: Recipe) -> BaseFacts:
    """The recipe's base model, as far as it is here. Raises nothing that is its fault."""
    name = recipe.model.path
    if name == TINY_MODEL:
        return BaseFacts(name=name, made_here=True, shape=tiny_shape())
    try:
        folder, hub = base_or_hub(recipe)
    except BaseModelError as error:
        return BaseFacts(name=name, problem=str(error).removeprefix("model.path: "))
    if folder is None:
        return BaseFacts(name=name, hub=hub)
    problems = dict(weight_problems(recipe, folder))
    if not has_weights(folder):
        problems.setdefault("model.path", f"{folder} {NO_WEIGHTS}")
    if broken := problems.get("model.path"):
        return BaseFacts(name=name, problem=broken)
    other = next((f"{field}: {said}" for field, said in problems.items()), None)
    config = read_json(folder / "config.json").value or {}
    sizes = [path.stat().st_size for path in weight_files(folder)]
    return BaseFacts(
        name=name,
        problem=other,
        folder=str(folder),
        config=config,
        template=_template(folder),
        bytes=sum(sizes),
        largest_file_bytes=max(sizes, default=None),
        shape=_shape(config, folder),
    )


def _shape(config: Mapping[str, Any], folder: Path) -> BaseShape | None:
    """Its weights are counted: config.json says nothing of what experts weigh."""
    shape = shape_from(config)
    if shape is None:
        return None
    sizes = {name: math.prod(size) for name, (_, size) in read_tensors(folder).items()}
    if shape.tied:
        sizes.pop("lm_head.weight", None)  # a second copy, which is not loaded
    return replace(shape, counted=sum(sizes.values()) or None)


def tiny_shape() -> BaseShape:
    """The built-in base's, with as large a vocabulary as its tokenizer may get."""
    return BaseShape(
        hidden=make_tiny.HIDDEN,
        layers=make_tiny.LAYERS,
        heads=make_tiny.HEADS,
        kv_heads=make_tiny.KEY_VALUE_HEADS,
        head_size=make_tiny.HEAD_SIZE,
        inner=make_tiny.INNER,
        vocabulary=VOCABULARY,
    )


def _template(folder: Path) -> str:
    """The chat template: a file of its own since transformers 4.50, before in the tokenizer's."""
    try:
        with (folder / "chat_template.jinja").open(errors="replace") as stream:
            return stream.read(TEMPLATE_BYTES)
    except OSError:
        pass
    said = (read_json(folder / "tokenizer_config.json").value or {}).get("chat_template")
    return said if isinstance(said, str) else json.dumps(said) if said else ""


def read_packages(python: str | None) -> Mapping[str, str]:
    """Versions of PACKAGES in *python* (None: this one), those that are there."""
    if python is None or Path(python) == Path(sys.executable):
        return _versions()
    code = (
        "import importlib.metadata as m,json\n"
        "f={}\n"
        f"for n in {PACKAGES!r}:\n"
        " try: f[n]=m.version(n)\n"
        " except m.PackageNotFoundError: pass\n"
        "print(json.dumps(f))"
    )
    done = subprocess.run(
        [python, "-P", "-c", code], capture_output=True, text=True, timeout=PYTHON_S, check=True
    )
    found: Any = json.loads(done.stdout)
    return {str(name): str(version) for name, version in found.items()}


def _versions() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
