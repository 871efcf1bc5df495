"""The first moments of a training with Hugging Face's Trainer, before anything slow is imported.

The rule: what can be wrong with the inputs is said before the slow imports, and everything slow
happens after the first heartbeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .checkpoints import is_whole_trainer_save
from .contract import Contract, StageError
from .files import remove_tree
from .inputs import begin, read_inputs
from .job import TRAINER_FOLDER, Job
from .rows import Order, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """All that a training begins with."""

    job: Job
    rows: list[Row]
    order: Order
    resume: Path | None
    """The published checkpoint to go on from."""


def begin_training(contract: Contract) -> Start:
    """Read what work/job.json names; a stop now ends the stage. Raises StageError and OSError."""
    job = begin(contract)
    resume = checkpoint_to_resume(contract, job)
    rows, order = read_inputs(contract, job)
    return Start(job=job, rows=rows, order=order, resume=resume)


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
