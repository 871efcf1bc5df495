"""Which packages of experiment trackers a lane's Python or image must have for a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runners.lanes import get_lane
from runners.payload.lane_packages import LANE, read_pins
from runners.payload.trackers import needed

PAYLOAD = Path(__file__).parent / "payload"


def tracker_modules(recipe: Mapping[str, Any], lane: str) -> dict[str, tuple[str, ...]]:
    """Modules, any of which is enough, by the tracker; without those that the lane installs."""
    return needed(recipe, lane, _brought(recipe, lane))


def _brought(recipe: Mapping[str, Any], lane: str) -> dict[str, str]:
    for plan in get_lane(lane).stages(recipe, smoke=False):
        if plan.packages is not None and plan.packages.source == LANE:
            locks = (plan.packages.lock, *plan.packages.more)
            return read_pins(PAYLOAD / name for name in locks)
    return {}
