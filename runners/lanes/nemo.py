"""The `nemo` lane: NeMo Framework's Megatron-Bridge, in NVIDIA's container.

The image's tag promises nothing: which Megatron-Bridge it holds is asked inside, by the import.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.model import Stage
from runners.engines.base import Access
from runners.lanes.base import StagePlan
from runners.lanes.reference import TINY

PINS: Mapping[str, str] = {
    "megatron-bridge": "0.4.2",
    "megatron-core": "0.17.1",
    "transformers": "5.3.0",
}
"""The releases of the image's line that the lane is tested with; the extra [nemo] and the tests
install these. 26.04.00 itself holds 0.4.0, whose adapters and checkpoints are the same code."""

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
        plans = [
            StagePlan(stage=Stage.PREPARE, module="runners.prepare", on_host=True),
            # The base is compared on the GPU: Transformer Engine's layers run nowhere else.
            _inside(Stage.IMPORT, "import_nemo", Access.WRITE),
            _inside(Stage.TRAIN, "train_nemo", Access.READ),
        ]
        if recipe["model"]["path"] == TINY:
            plans.insert(0, _inside(Stage.FETCH, "make_tiny", Access.NONE))
        if not smoke:
            plans.append(_inside(Stage.MERGE, "merge_nemo", Access.READ))
        return tuple(plans)


def _inside(stage: Stage, module: str, cache: Access) -> StagePlan:
    return StagePlan(
        stage=stage, module=f"lanewatch_payload.{module}", env=dict(ENVIRONMENT), cache=cache
    )
