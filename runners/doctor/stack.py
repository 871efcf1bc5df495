"""Whether an engine has what a lane needs, by itself: also where there is no recipe yet."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from runners.doctor.docker_checks import image_check
from runners.doctor.docker_probes import read_image
from runners.doctor.values import Check, fail, ok
from runners.engines.base import Need
from runners.engines.docker import DockerEngine, require_image
from runners.engines.local import LocalEngine
from runners.errors import EngineError
from runners.lanes import get_lane
from runners.trackers import tracker_modules


def stack_check(lane: str, engine: str, *, image: str | None, python: str | None) -> Check:
    """The trainer's Python, or the image that its containers are made from."""
    return _image(lane, image) if engine == DockerEngine.name else trainer_check(lane, python)


def trainer_check(lane: str, python: str | None) -> Check:
    """The local engine's Python has what the lane imports; None: lanewatch's own."""
    known, name = get_lane(lane), python or sys.executable
    need = Need(lane=lane, modules=known.modules, extra=known.extra, python=name)
    try:
        LocalEngine().check(need)
    except EngineError as error:
        seen, _, remedy = str(error).partition(": `")
        other = "name another Python (launch.python)"
        return fail("trainer", seen, f"`{remedy}" if remedy else other, overridable=False)
    return ok("trainer", f"{name} has what the lane imports")


def local_trackers(recipe: Mapping[str, Any], lane: str, python: str | None) -> Iterator[Check]:
    """The local engine's Python has what train.report_to names; nothing where it names none."""
    modules, name = tracker_modules(recipe, lane), python or sys.executable
    if not modules:
        return
    try:
        LocalEngine().check(Need(lane=lane, modules=(), extra="", python=name, trackers=modules))
    except EngineError as error:
        seen, _, remedy = str(error).partition(": ")
        yield fail("report_to", seen, remedy, overridable=False)
    else:
        yield ok("report_to", f"{name} has {', '.join(modules)}")


def _image(lane: str, image: str | None) -> Check:
    try:
        found = read_image(require_image(image, lane))
    except EngineError as error:
        seen, _, remedy = str(error).partition(": ")
        return fail("image", seen, remedy)
    if found.local is None and found.problem is not None:
        seen, _, remedy = found.problem.partition(": ")
        return fail("image", f"{found.name}: {seen}", remedy or "start the Docker engine")
    return image_check(found)
