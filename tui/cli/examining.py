"""The doctor's part of a launch: what is cheap to look at is looked at, each time."""

from __future__ import annotations

import math
from collections.abc import Callable

from runners import config
from runners.config import ConfigError
from runners.doctor.examine import Intended, examine_before_launch
from runners.doctor.values import Check, Examination, Level
from runners.errors import RunnerError
from runners.launch import LaunchOrder
from runners.recipe.model import Recipe
from tui.cli.output import complain

GIB = 1 << 30
MOST_GIB = 1_048_576


def before_launch(
    order: LaunchOrder,
    recipe: Recipe,
    *,
    waits: bool,
    tell: Callable[[str], None] = complain,
) -> Examination:
    """Examine what is cheap; refuse the launch for what fails. Raises RunnerError.

    Warnings go to *tell*. With `anyway`, what may be overridden is a warning too.
    """
    intention = intended(order, recipe, waits=waits)
    examination = examine_before_launch(order.root, intention, ask_image=True)
    refused = [each for each in examination.failed if not (order.anyway and each.overridable)]
    for each in (*examination.of(Level.WARN), *examination.failed):
        if each not in refused:
            tell(f"{each.name}: {each.sentence}")
    if refused:
        raise RunnerError(_refusal(refused))
    return examination


def intended(order: LaunchOrder, recipe: Recipe, *, waits: bool) -> Intended:
    """The launch as the doctor looks at it. Raises ConfigError."""
    return Intended(
        recipe=recipe,
        lane=order.lane,
        engine=order.engine,
        image=order.image,
        python=order.python,
        wheelhouse=order.wheelhouse,
        limit_bytes=limit_bytes(recipe),
        waits=waits,
    )


def _refusal(refused: list[Check]) -> str:
    said = "\n".join(f"{each.name}: {each.sentence}" for each in refused)
    if all(each.overridable for each in refused):
        said += " (--anyway launches all the same)"
    return f"not launched: {said}"


def memory_limit_gib() -> float | None:
    """The machine's limit by the configuration. Raises ConfigError."""
    said = config.get("memory.limit_gib")
    if said is None:
        return None
    try:
        gib = float(said)
    except ValueError:
        gib = math.nan
    if not 0 < gib <= MOST_GIB:
        raise ConfigError(f"memory.limit_gib must be a number of GiB above 0, not {said!r}")
    return gib


def machine_limit_bytes() -> int | None:
    """The machine's limit by the configuration, in bytes. Raises ConfigError."""
    gib = memory_limit_gib()
    return int(gib * GIB) if gib else None


def limit_bytes(recipe: Recipe) -> int | None:
    """The limit of a run of *recipe*: its own, else the machine's. Raises ConfigError."""
    gib = recipe.memory.limit_gib
    return int(gib * GIB) if gib else machine_limit_bytes()
