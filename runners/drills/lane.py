"""The hidden lane of the drills: one stage, whose trainer is our own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.model import Stage
from monitor.probes.clock import RATE_VARIABLE
from runners.lanes.base import StagePlan


class DrillLane:
    """See `runners.lanes.base.Lane`."""

    name = "drill"
    modules: tuple[str, ...] = ()
    extra = ""
    image: str | None = None

    def stages(self, recipe: Mapping[str, Any], *, smoke: bool) -> tuple[StagePlan, ...]:  # noqa: ARG002 - the protocol's
        rate = str(recipe["drill"]["rate"])
        plan = StagePlan(
            stage=Stage.TRAIN,
            module="runners.drills.trainer",
            on_host=True,
            env={RATE_VARIABLE: rate},
        )
        return (plan,)
