"""The `train` stage of the `reference` lane: plain transformers Trainer + peft, on any device.

The rule: what can be wrong with the inputs is said before the slow imports, and everything slow
happens after the first heartbeat.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .checkpoints import is_whole_trainer_save
from .contract import Contract, StageError, end_process, run_stage
from .files import remove_tree
from .job import TRAINER_FOLDER, Job, read_job
from .rows import read_order, read_rows


def main(contract: Contract) -> Mapping[str, Any]:
    """Train as work/job.json says; returns the fields of result.json."""
    job = read_job(contract)
    contract.facts["iteration"] = job.resume_from or 0
    contract.heartbeat(done=job.resume_from or 0, total=job.iterations)
    resume = checkpoint_to_resume(contract, job)
    rows = read_rows(job.data / "train.jsonl")
    order = read_order(job.data / "order.json", rows)
    contract.raise_if_stopped()
    contract.raise_on_stop = True
    contract.heartbeat()
    # One device: Trainer would spread itself over all it sees, and lanes are compared on one.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    from .reference_training import train

    return train(contract, job, rows=rows, order=order, resume=resume)


def checkpoint_to_resume(contract: Contract, job: Job) -> Path | None:
    """The published checkpoint to go on from; one saved but not yet published is published now.

    Afterwards Trainer's own folder is empty: what it saves again would else be written into
    files that a published checkpoint shares with it. Raises StageError and OSError.
    """
    saves, number = job.work / TRAINER_FOLDER, job.resume_from
    published = None if number is None else contract.checkpoints.path(number)
    if number is not None and published is not None and not published.is_dir():
        saved = saves / f"checkpoint-{number}"
        if not is_whole_trainer_save(saved, number):
            raise StageError(f"the checkpoint to resume from is not there: {published}")
        contract.publish(saved, number)
    remove_tree(saves)
    return published


if __name__ == "__main__":
    end_process(run_stage(main))
