"""The lanes by name."""

from __future__ import annotations

from runners.errors import RunnerError
from runners.lanes.base import Lane
from runners.lanes.nemo import NemoLane
from runners.lanes.reference import ReferenceLane
from runners.lanes.unsloth import UnslothLane

LANES: dict[str, Lane] = {lane.name: lane for lane in (ReferenceLane(), UnslothLane(), NemoLane())}

DRILL = "drill"


def get_lane(name: str) -> Lane:
    """Return the lane called *name*. Raises RunnerError that lists the known ones."""
    if name == DRILL:
        from runners.drills.lane import DrillLane  # hidden: only a drill's own run.json names it

        return DrillLane()
    try:
        return LANES[name]
    except KeyError:
        known = ", ".join(sorted(LANES))
        raise RunnerError(f"unknown lane {name!r}; known: {known}") from None
