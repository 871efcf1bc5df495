"""What every training begins with: its job and rows, read before anything slow is imported."""

from __future__ import annotations

import os

from .contract import Contract
from .job import Job, read_job
from .rows import Order, Row, read_order, read_rows


def begin(contract: Contract) -> Job:
    """Read work/job.json and say where the training begins. Raises StageError and OSError."""
    job = read_job(contract)
    contract.facts["iteration"] = job.resume_from or 0
    contract.heartbeat(done=job.resume_from or 0, total=job.iterations)
    return job


def read_inputs(contract: Contract, job: Job) -> tuple[list[Row], Order]:
    """Rows and their order; from now on a stop ends the stage. Raises StageError and OSError."""
    rows = read_rows(job.data / "train.jsonl")
    order = read_order(job.data / "order.json", rows)
    contract.raise_if_stopped()
    contract.raise_on_stop = True
    contract.heartbeat()
    # One device: a trainer would spread itself over all it sees, and lanes are compared on one.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    return rows, order
