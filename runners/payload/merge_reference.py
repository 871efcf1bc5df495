"""The `merge` stage: base + adapter into one bf16 model, then proof that it loads.

The rule: export/ only ever holds folders that were loaded again and compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .checkpoints import KEEP_FILE
from .contract import Contract, StageError, end_process, run_stage, say
from .files import remove_tree, replace
from .folders import TOKENIZER_FILES, begin_folder, copy_files, put_in_place, read_tensors
from .job import Job, read_job
from .lane_packages import enter

MERGED, ADAPTER = "merged-hf-bf16", "adapter-hf"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
SAMPLE_TOKENS = 64
"""Length of the text that the reloaded model has to read."""


def main(contract: Contract) -> Mapping[str, Any]:
    """Merge the job's checkpoint, or the one the tracker names."""
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
        return _export(contract, job, contract.checkpoints.path(iteration))
    finally:
        keep.unlink(missing_ok=True)


def _export(contract: Contract, job: Job, checkpoint: Path) -> Mapping[str, Any]:
    missing = [name for name in ADAPTER_FILES if not (checkpoint / name).is_file()]
    if missing:
        raise StageError(f"{checkpoint} has no {missing[0]}: it holds no adapter to merge")
    contract.raise_on_stop = True
    merged = begin_folder(job.export / MERGED)
    adapter = begin_folder(job.export / ADAPTER)
    try:
        copy_files(ADAPTER_FILES, checkpoint, adapter)
        facts = _merge_and_prove(contract, job, checkpoint, merged)
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


def _merge_and_prove(
    contract: Contract, job: Job, checkpoint: Path, merged: Path
) -> Mapping[str, Any]:
    """Fill the folder *merged*, load it again, and compare it with the base."""
    from .reference_merge import merge_adapter, read_with

    expected = read_tensors(job.base)
    merge_adapter(contract, job, checkpoint, merged, tensors=len(expected))
    copy_files(TOKENIZER_FILES, job.base, merged)
    compare(expected, read_tensors(merged))
    parameters = read_with(merged, _sample(job.data / "train.jsonl"))
    say(f"reloaded: {len(expected)} tensors, {parameters:,} parameters, all logits finite")
    return {"reloaded": True, "tensors": len(expected), "parameters": parameters}


def compare(
    base: Mapping[str, tuple[str, tuple[int, ...]]],
    merged: Mapping[str, tuple[str, tuple[int, ...]]],
) -> None:
    """Raise StageError unless *merged* has the tensors of *base*, each of its shape, in bf16.

    A base without safetensors has nothing to compare with; the names are then not checked.
    """
    lost, extra = sorted(base.keys() - merged.keys()), sorted(merged.keys() - base.keys())
    if base and (lost or extra):
        raise StageError(f"the merged model lacks {lost[:3]} and has {extra[:3]} beyond the base")
    for name, (dtype, shape) in merged.items():
        if dtype != "BF16":
            raise StageError(f"the merged model's {name} is {dtype}, not BF16")
        if name in base and base[name][1] != shape:
            raise StageError(f"the merged model's {name} is {shape}, the base's {base[name][1]}")


def _sample(path: Path) -> list[int]:
    """Some real ids for the proof; without the data, the first few of the vocabulary."""
    from .rows import read_rows

    try:
        return list(read_rows(path)[0].ids[:SAMPLE_TOKENS])
    except StageError:
        return list(range(8))


if __name__ == "__main__":
    end_process(run_stage(main))
