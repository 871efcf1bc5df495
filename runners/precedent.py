"""The last run that trained the same: from it the end of the next one is projected."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from monitor.files import read_json
from runners.projection import Projection, SmokeResult, project
from runners.recipe.model import Recipe
from runners.runs import iter_runs

LOOKED_AT = 300
"""Of the newest runs: an older one is of another time."""
NO_MATTER: Mapping[str, tuple[str, ...]] = {
    "train": ("iterations", "save_interval", "keep_last", "report_to"),
    "memory": (),
    "liveness": (),
    "run": (),
    "docker": (),
}
"""What does not change the seconds of an iteration; () is the whole table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precedent:
    """A run of the same training, and what its pace projects."""

    run: str
    step_s: float
    projection: Projection

    @property
    def train_s(self) -> float:
        """Seconds that the training will take, with its saves where their cost is known."""
        known = self.projection.save_aware_s
        return known if known is not None else self.projection.naive_s


def find_precedent(root: Path, recipe: Recipe, lane: str, engine: str) -> Precedent | None:
    """The newest run below *root* that trained the same on the same lane and engine, or None.

    None too where the number of iterations is not known before. Raises RunnerError.
    """
    iterations = recipe.train.iterations
    if iterations == "auto":
        return None
    wanted = _compared(recipe.model_dump(mode="json"))
    of_lane = [run for run in iter_runs(root) if run.root.name.startswith(f"{lane}-")]
    for run in islice(reversed(of_lane), LOOKED_AT):
        summary = read_json(run.summary).value or {}
        step_s = _seconds(summary.get("step_median_s"))
        if step_s is None or summary.get("lane") != lane:
            continue
        info = read_json(run.run_json).value or {}
        trained = info.get("recipe")
        if info.get("engine") != engine or not isinstance(trained, dict):
            continue
        if _compared(trained) == wanted:
            smoke = SmokeResult(
                step_s=step_s,
                first_save_s=_seconds(summary.get("first_save_s")),
                later_save_s=_seconds(summary.get("save_median_s")),
            )
            projection = project(
                smoke, iterations=iterations, save_interval=recipe.train.save_interval
            )
            return Precedent(run=run.root.name, step_s=step_s, projection=projection)
    return None


def _compared(recipe: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, table in recipe.items():
        left_out = NO_MATTER.get(name)
        if left_out is None:
            kept[name] = table
        elif left_out and isinstance(table, dict):
            kept[name] = {key: value for key, value in table.items() if key not in left_out}
    return kept


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value > 0 else None
