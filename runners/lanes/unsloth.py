"""The `unsloth` lane: Unsloth and TRL in NVIDIA's PyTorch image, with packages of its own lock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.model import Stage
from runners.engines.base import Access, Gpu
from runners.lanes.base import Packages, StagePlan
from runners.lanes.reference import TINY
from runners.payload.trackers import LOCKS
from runners.payload.unsloth_paths import unsloth_settings

LOCK = "unsloth.lock.txt"
"""In runners/payload: it is copied into each run."""


_GPU = {"auto": Gpu.IF_THERE, "cpu": Gpu.NONE, "cuda": Gpu.REQUIRED}
"""By the recipe's lanes.unsloth.device."""


class UnslothLane:
    """See `runners.lanes.base.Lane`."""

    name = "unsloth"
    modules: tuple[str, ...] = ("torch",)
    """All else comes from the lock, or is looked for by the stage `import`."""
    extra = "unsloth"
    image: str | None = "nvcr.io/nvidia/pytorch:25.11-py3"

    def stages(self, recipe: Mapping[str, Any], *, smoke: bool) -> tuple[StagePlan, ...]:
        lane = recipe.get("lanes", {}).get("unsloth", {})
        env, gpu = _environment(recipe), _GPU[lane.get("device", "auto")]
        prepare = StagePlan(stage=Stage.PREPARE, module="runners.prepare", on_host=True)
        environment = StagePlan(
            stage=Stage.IMPORT,
            module="lanewatch_payload.import_packages",
            env=env,
            packages=_packages(lane, recipe),
            cache=Access.WRITE,
            network=lane.get("packages", "lane") == "lane",
            gpu=gpu,
        )
        train = _inside(Stage.TRAIN, "train_unsloth", env, gpu)
        if recipe["model"]["path"] == TINY:
            # The tiny base is made with the lane's own transformers.
            fetch = _inside(Stage.FETCH, "make_tiny", env, Gpu.NONE)
            first = [environment, fetch, prepare]
        else:
            first = [prepare, environment]  # a fault in the data shows before anything is installed
        merge = _inside(Stage.MERGE, "merge_reference", env, Gpu.NONE)
        return (*first, train) if smoke else (*first, train, merge)


def _inside(stage: Stage, module: str, env: Mapping[str, str], gpu: Gpu) -> StagePlan:
    """A stage that enters the environment which the stage `import` has named."""
    return StagePlan(
        stage=stage, module=f"lanewatch_payload.{module}", env=env, gpu=gpu, cache=Access.READ
    )


def _packages(lane: Mapping[str, Any], recipe: Mapping[str, Any]) -> Packages:
    trackers = recipe.get("train", {}).get("report_to") or ()
    return Packages(
        lock=LOCK,
        more=tuple(LOCKS[name] for name in LOCKS if name in trackers),
        imports=("unsloth", "trl", "datasets", "peft", "transformers"),
        # peft refuses one that is too old, as images have; nothing here needs it.
        hidden=("torchao",),
        source=lane.get("packages", "lane"),
    )


def _environment(recipe: Mapping[str, Any]) -> dict[str, str]:
    threads = str(recipe.get("lanes", {}).get("unsloth", {}).get("threads", 1))
    return unsloth_settings(recipe) | {
        # More OpenMP threads than free cores spin against their neighbours: see the reference lane.
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        # Else it asks the hub for a file whenever a model is loaded.
        "UNSLOTH_DISABLE_STATISTICS": "1",
        # Batches are padded, as in every lane.
        "UNSLOTH_DISABLE_AUTO_PADDING_FREE": "1",
        "PYTHONUNBUFFERED": "1",
    }
