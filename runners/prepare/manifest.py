"""data/manifest.json: the last file that `prepare` writes, so that its presence means "whole"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.files import read_json
from monitor.rundir import SCHEMA, RunDir
from runners.prepare.tokens import tokenizer_hash
from runners.recipe.data import DataError, survey
from runners.recipe.model import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What `prepare` made, and from what."""

    rows: int
    """Rows to train on."""
    eval_rows: int
    tokens: int
    """In the rows to train on."""
    ids_sha256: str
    """Over train.jsonl and then eval.jsonl, as written: equal means the same ids and masks."""
    sequence_length: int
    dropped: int
    """Rows left out as too long (data.too_long is not "error")."""
    cut: int
    """Rows cut at the sequence limit."""
    lengths: Mapping[str, int | None]
    """Tokens of a row: p50, p95, max."""
    inputs: Mapping[str, Any]
    files: Mapping[str, int] = field(default_factory=dict)
    """Bytes of each file beside the manifest."""

    def to_json(self) -> dict[str, Any]:
        """Return the content of manifest.json."""
        return {"schema": SCHEMA} | {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a run asks of `prepare`, from its run.json."""

    recipe: Recipe
    recipe_hash: str
    base: Path
    """The folder of the base model, with its tokenizer."""
    smoke_iterations: int | None = None


def read_task(run_dir: Path) -> Task:
    """Return what *run_dir*/run.json asks for. Raises DataError."""
    path = RunDir(run_dir).run_json
    read = read_json(path)
    if read.value is None:
        raise DataError(f"{path}: {read.problem or 'there is no such file'}")
    try:
        smoke = read.value.get("smoke")
        is_smoke = read.value.get("kind") == "smoke"
        return Task(
            recipe=Recipe.model_validate(read.value["recipe"]),
            recipe_hash=str(read.value["recipe_hash"]),
            base=Path(read.value["paths"]["base"]),
            smoke_iterations=int(smoke["iterations"]) if is_smoke and smoke else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not a run's description: {str(error)[:200]}") from None


def prepare_inputs(run_dir: Path) -> dict[str, Any]:
    """Return what the output of `prepare` depends on, by hash. Reads the data once.

    Raises DataError.
    """
    return task_inputs(read_task(run_dir))


def task_inputs(task: Task) -> dict[str, Any]:
    """Return the same for a task. Raises DataError."""
    data = task.recipe.data
    evaluation = None if data.eval_path is None else survey(Path(data.eval_path)).sha256
    try:
        tokenizer = tokenizer_hash(task.base)
    except OSError as error:
        raise DataError(f"{task.base} cannot be read: {error.strerror or error}") from None
    return {
        "recipe_hash": task.recipe_hash,
        "data_sha256": survey(Path(data.path)).sha256,
        "eval_sha256": evaluation,
        "tokenizer_sha256": tokenizer,
        "smoke_iterations": task.smoke_iterations,
    }


def prepare_is_whole(run_dir: Path, inputs: Mapping[str, Any]) -> bool:
    """True when *run_dir*/data holds a whole output made from *inputs* (see `prepare_inputs`)."""
    data = RunDir(run_dir).data
    manifest = read_json(data / "manifest.json").value
    if manifest is None or manifest.get("schema") != SCHEMA or manifest.get("inputs") != inputs:
        return False
    files = manifest.get("files")
    if not isinstance(files, dict) or not {"train.jsonl", "order.json"} <= files.keys():
        return False
    return all(_size(data / name) == size for name, size in files.items())


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
