"""The `reference` lane: plain transformers + peft, on any device. The yardstick for the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.model import Stage
from runners.engines.base import Gpu
from runners.lanes.base import StagePlan

TINY = "tiny-random-qwen3"
"""The built-in base: made on the spot, so that a demo needs no download."""


class ReferenceLane:
    """See `runners.lanes.base.Lane`."""

    name = "reference"
    modules: tuple[str, ...] = ("torch", "transformers", "peft")
    extra = "reference"
    image: str | None = None

    def stages(self, recipe: Mapping[str, Any], *, smoke: bool) -> tuple[StagePlan, ...]:
        env = self._environment(recipe)
        device = recipe.get("lanes", {}).get("reference", {}).get("device")
        gpu = Gpu.NONE if device == "cpu" else Gpu.IF_THERE

        def of_payload(stage: Stage, module: str, gpu: Gpu = gpu) -> StagePlan:
            return StagePlan(stage=stage, module=f"lanewatch_payload.{module}", env=env, gpu=gpu)

        plans = [
            StagePlan(stage=Stage.PREPARE, module="runners.prepare", on_host=True),
            of_payload(Stage.TRAIN, "train_reference"),
        ]
        if recipe["model"]["path"] == TINY:
            plans.insert(0, of_payload(Stage.FETCH, "make_tiny", Gpu.NONE))
        if not smoke:
            plans.append(of_payload(Stage.MERGE, "merge_reference"))
        return tuple(plans)

    @staticmethod
    def _environment(recipe: Mapping[str, Any]) -> dict[str, str]:
        threads = str(recipe.get("lanes", {}).get("reference", {}).get("threads", 1))
        # More OpenMP threads than free cores spin against their neighbours: 10 to 20 times slower
        # was measured on a busy two-core machine.
        return {
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "PYTHONUNBUFFERED": "1",
        }
