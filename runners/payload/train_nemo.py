"""The `train` stage of the `nemo` lane: LoRA by Megatron-Bridge's Python API, on one GPU.

The rule: what can be wrong with the inputs is said before the slow imports, and everything slow
happens after the first heartbeat.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import trackers
from .contract import Contract, StageError, end_process, run_stage
from .inputs import begin, read_inputs
from .job import TRAINER_FOLDER, Job
from .nemo_adapter import adapter_targets
from .nemo_imports import named_import
from .nemo_saves import make_tree
from .training_plan import given_plan


def main(contract: Contract) -> Mapping[str, Any]:
    """Train as work/job.json says; returns the fields of result.json."""
    job = begin(contract)
    trackers.require(job.recipe, "nemo", sys.executable)
    if job.calibrate is not None and job.smoke is None:
        raise StageError(
            'train.iterations = "auto" is for the other lanes; give the nemo lane a number'
        )
    plan = given_plan(job)
    fused = job.lane("nemo").get("lora") == "fused"
    targets = adapter_targets(list(job.table("lora")["targets"]), fused=fused)
    base = named_import(job.work)
    make_tree(job.work / TRAINER_FOLDER, _published(contract, job), job.resume_from)
    rows, order = read_inputs(contract, job)
    from .nemo_training import Inputs, train

    inputs = Inputs(plan=plan, base=base, targets=targets, fused=fused, rows=rows, order=order)
    return train(contract, job, inputs)


def _published(contract: Contract, job: Job) -> Path | None:
    number = job.resume_from
    return None if number is None else contract.checkpoints.path(number)


if __name__ == "__main__":
    end_process(run_stage(main))
