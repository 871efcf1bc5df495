"""The `nemo` lane: NeMo Framework's Megatron-Bridge, in NVIDIA's container.

The image's tag promises nothing: which Megatron-Bridge it holds is asked inside, by the import.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.model import Stage
from runners.lanes.base import StagePlan
from runners.lanes.reference import TINY

PINS: Mapping[str, str] = {
    "megatron-bridge": "0.4.2",
    "megatron-core": "0.17.1",
    "transformers": "5.3.0",
    "omegaconf": "2.3.1",
    "hydra-core": "1.3.8",
}
"""What the lane is tested with outside the container; pyproject's extra [nemo] says the same."""

ENVIRONMENT: Mapping[str, str] = {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYTHONUNBUFFERED": "1",
}


class NemoLane:
    """See `runners.lanes.base.Lane`."""

    name = "nemo"
    image: str | None = "nvcr.io/nvidia/nemo:26.04.00"
    modules: tuple[str, ...] = ("torch", "transformers", "megatron.bridge", "megatron.core")
    extra = "nemo"

    def stages(self, recipe: Mapping[str, Any], *, smoke: bool) -> tuple[StagePlan, ...]:
        env = dict(ENVIRONMENT)
        plans = [
            StagePlan(stage=Stage.PREPARE, module="runners.prepare", on_host=True),
            StagePlan(stage=Stage.IMPORT, module="lanewatch_payload.import_nemo", env=env),
            StagePlan(stage=Stage.TRAIN, module="lanewatch_payload.train_nemo", env=env),
        ]
        if recipe["model"]["path"] == TINY:
            fetch = StagePlan(stage=Stage.FETCH, module="lanewatch_payload.make_tiny", env=env)
            plans.insert(0, fetch)
        if not smoke:
            plans.append(
                StagePlan(stage=Stage.MERGE, module="lanewatch_payload.merge_nemo", env=env)
            )
        return tuple(plans)
