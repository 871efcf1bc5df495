"""The `train` stage of the `reference` lane: plain transformers Trainer + peft, on any device."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from . import trackers
from .contract import Contract, end_process, run_stage
from .hf_start import begin_training


def main(contract: Contract) -> Mapping[str, Any]:
    """Train as work/job.json says; returns the fields of result.json."""
    start = begin_training(contract)
    trackers.require(start.job.recipe, "reference", sys.executable)
    from .reference_training import train

    return train(contract, start)


if __name__ == "__main__":
    end_process(run_stage(main))
