"""The `train` stage of the `unsloth` lane."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from . import trackers
from .contract import Contract, end_process, run_stage
from .hf_start import begin_training
from .lane_packages import enter


def main(contract: Contract) -> Mapping[str, Any]:
    """Train as work/job.json says; returns the fields of result.json."""
    start = begin_training(contract)
    enter(start.job.work, required=True)
    trackers.require(start.job.recipe, "unsloth", sys.executable)
    # Its import catches whatever is raised in it: a stop would be swallowed, or break it halfway.
    contract.raise_on_stop = False
    from .unsloth_training import train

    contract.raise_if_stopped()
    contract.raise_on_stop = True
    try:
        return train(contract, start)
    except Exception:
        if contract.raise_on_stop:  # nothing is trained yet: what a stop broke is a stop
            contract.raise_if_stopped()
        raise


if __name__ == "__main__":
    end_process(run_stage(main))
