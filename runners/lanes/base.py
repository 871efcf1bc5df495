"""What a lane is: the stages that make a fine-tune in one trainer's way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from monitor.model import Stage
from runners.engines.base import Access, Gpu


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """The Python packages that a lane brings along; see `runners.payload.lane_packages`."""

    lock: str
    """The file of exact pins, beside the payload's scripts."""
    more: tuple[str, ...] = ()
    """Further such files, for what the recipe asks besides."""
    imports: tuple[str, ...]
    """Modules whose import proves an installation."""
    hidden: tuple[str, ...] = ()
    """Modules of the image or interpreter that the trainer must not see."""
    source: str = "lane"
    """"lane": install the lock into the cache; "interpreter": use what is installed there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """One stage of a lane."""

    stage: Stage
    module: str
    """Run as `python -m MODULE`; of the payload unless *on_host*."""
    on_host: bool = False
    """Runs with lanewatch's own Python and packages, never in a container."""
    env: Mapping[str, str] = field(default_factory=dict)
    packages: Packages | None = None
    """What the stage `import` installs."""
    python: str | None = None
    """The interpreter; None: the one that the engine or the configuration names."""
    gpu: Gpu = Gpu.IF_THERE
    cache: Access = Access.NONE
    """What a container may do in $LANEWATCH_CACHE."""
    network: bool = False
    """Only for a stage that installs what the lane needs; a trainer has none."""
    secrets: tuple[str, ...] = ()
    """Variables with a secret that a stage on the host may inherit."""


class Lane(Protocol):
    """How a recipe is trained."""

    name: str
    modules: tuple[str, ...]
    """What the trainer's Python must be able to import."""
    extra: str
    """The extra of this package that brings them."""
    image: str | None
    """The container image it is made for; None: the user must name one."""

    def stages(self, recipe: Mapping[str, Any], *, smoke: bool) -> tuple[StagePlan, ...]:
        """The stages for *recipe* (a dumped Recipe), in order."""
