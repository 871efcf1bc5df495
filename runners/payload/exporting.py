"""What every lane's `merge` does around its own merging: the folders, the comparison, the proof.

The rule: export/ only ever holds folders that were loaded again and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checkpoints import KEEP_FILE
from .contract import Contract, StageError, say
from .files import remove_tree, replace
from .folders import TOKENIZER_FILES, begin_folder, copy_files, put_in_place
from .job import Job, read_job
from .lane_packages import enter
from .shards import Tensors, name_as_usual, read_tensors

MERGED, ADAPTER = "merged-hf-bf16", "adapter-hf"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
WHOLE_NUMBERS = frozenset({"I64", "I32", "BOOL"})
"""Safetensors' names of what stays as it is; fewer bits hold packed weights."""
SAMPLE_TOKENS = 64
"""Length of the text that the reloaded model has to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One merge: where from and where to."""

    contract: Contract
    job: Job
    checkpoint: Path
    merged: Path
    """Empty; to be filled with weights in bf16 and config.json."""
    adapter: Path
    """Empty; to be filled with ADAPTER_FILES."""
    tensors: int
    """Of the base."""


def export(
    contract: Contract, needed: tuple[str, ...], make: Callable[[Export], None]
) -> Mapping[str, Any]:
    """Merge the job's checkpoint, or the one the tracker names, by *make*.

    *needed* are files without which a checkpoint holds nothing to merge. Returns fields of
    result.json; raises StageError.
    """
    contract.heartbeat(unit="tensors", done=0)
    job = read_job(contract)
    iteration = job.iteration if job.iteration is not None else contract.checkpoints.latest()
    if iteration is None:
        raise StageError(f"there is no checkpoint to merge in {job.checkpoints}")
    contract.facts["iteration"] = iteration
    enter(job.work)
    keep = job.work / KEEP_FILE
    replace(keep, f"{iteration}\n".encode(), durable=False)
    try:
        checkpoint = contract.checkpoints.path(iteration)
        missing = [name for name in needed if not (checkpoint / name).is_file()]
        if missing:
            raise StageError(f"{checkpoint} has no {missing[0]}: it holds no adapter to merge")
        return _export(contract, job, checkpoint, make)
    finally:
        keep.unlink(missing_ok=True)


def _export(
    contract: Contract, job: Job, checkpoint: Path, make: Callable[[Export], None]
) -> Mapping[str, Any]:
    contract.raise_on_stop = True
    merged = begin_folder(job.export / MERGED)
    adapter = begin_folder(job.export / ADAPTER)
    expected = read_tensors(job.base)
    try:
        make(
            Export(
                contract=contract,
                job=job,
                checkpoint=checkpoint,
                merged=merged,
                adapter=adapter,
                tensors=len(expected),
            )
        )
        facts = _prove(job, expected, merged)
        contract.raise_on_stop = False
        contract.raise_if_stopped()
        contract.heartbeat(phase="saving")
        put_in_place(adapter, job.export / ADAPTER)
        put_in_place(merged, job.export / MERGED)
    finally:
        remove_tree(merged)
        remove_tree(adapter)
    say(f"exported {job.export / MERGED} and {job.export / ADAPTER}")
    return facts


def _prove(job: Job, expected: Tensors, merged: Path) -> Mapping[str, Any]:
    """Compare the folder *merged* with the base, and load it again."""
    from .reload import carry_over, read_with

    copy_files(TOKENIZER_FILES, job.base, merged)
    name_as_usual(merged)
    found = read_tensors(merged)
    lost = sorted(expected.keys() - found.keys())
    compare({name: each for name, each in expected.items() if name not in lost}, found)
    sample = _sample(job.data / "train.jsonl")
    parameters = read_with(merged, sample)
    if lost:
        # It was loaded whole without them: a second copy of tied embeddings, a buffer, another
        # head. Whoever uses the base may need them, so they are taken along as they are.
        carry_over(lost, job.base, merged)
        say(
            f"taken along from the base, unchanged: {len(lost)} tensors that transformers "
            f"does not load ({', '.join(lost[:3])}{' …' if len(lost) > 3 else ''})"
        )
        name_as_usual(merged)
        compare(expected, read_tensors(merged))
        read_with(merged, sample)
    check_shards(merged)
    say(f"reloaded: {len(expected)} tensors, {parameters:,} parameters, all logits finite")
    return {
        "reloaded": True,
        "tensors": len(expected),
        "parameters": parameters,
        "taken_along": len(lost),
    }


def compare(base: Tensors, merged: Tensors) -> None:
    """Raise StageError unless *merged* has the tensors of *base*, each of its shape, in bf16.

    Whole numbers of the base stay what they are. A base without safetensors has
    nothing to compare with; the names are then not checked.
    """
    lost, extra = sorted(base.keys() - merged.keys()), sorted(merged.keys() - base.keys())
    if base and (lost or extra):
        raise StageError(f"the merged model lacks {lost[:3]} and has {extra[:3]} beyond the base")
    for name, (dtype, shape) in merged.items():
        wanted = base.get(name, ("BF16", shape))
        if dtype != "BF16" and (dtype != wanted[0] or dtype not in WHOLE_NUMBERS):
            raise StageError(f"the merged model's {name} is {dtype}, not BF16")
        if wanted[1] != shape:
            raise StageError(f"the merged model's {name} is {shape}, the base's {wanted[1]}")


def _sample(path: Path) -> list[int]:
    """Some real ids for the proof; without the data, the first few of the vocabulary."""
    from .rows import read_rows

    try:
        return list(read_rows(path)[0].ids[:SAMPLE_TOKENS])
    except StageError:
        return list(range(8))


def check_shards(merged: Path) -> None:
    """Raise StageError unless the weights bear the names that every loader knows."""
    names = sorted(path.name for path in merged.glob("*.safetensors"))
    count = len(names)
    usual = [f"model-{each:05}-of-{count:05}.safetensors" for each in range(1, count + 1)]
    index = (merged / "model.safetensors.index.json").is_file()
    if names == ["model.safetensors"] or (names and names == usual and index):
        return
    raise StageError(
        f"the merged model's files have names that loaders do not know: {names[:3]} of {count}"
        f"{'' if index else ', without an index'}"
    )
