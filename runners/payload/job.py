"""What a stage is asked to do: work/job.json, checked once and frozen.

The rule: a job that exists can be worked on; anything missing is one sentence, said at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .causes import StageError
from .contract import SCHEMA, Contract
from .files import read_object

TRAINER_FOLDER = "trainer"
"""In the work folder: where the Trainer of a lane saves its own checkpoint-N."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Measure *steps* iterations, then choose as many as take about *seconds*."""

    steps: int
    seconds: float
    min_iterations: int
    checkpoints: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoke:
    """A short run that feeds a projection: no export, forced saves, one step of long rows."""

    iterations: int
    saves: int = 2
    longest: int = 0
    """Rows of the longest-first list to take for the last step; 0 means a whole batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The content of work/job.json."""

    recipe: Mapping[str, Any]
    base: Path
    data: Path
    checkpoints: Path
    work: Path
    export: Path
    cache: Path
    """What runs share: $LANEWATCH_CACHE."""
    iterations: int | None = None
    """None when the stage has to choose (see `calibrate`)."""
    save_interval: int = 70
    resume_from: int | None = None
    iteration: int | None = None
    """Which checkpoint to merge; None means the one that the tracker names."""
    forced_saves: frozenset[int] = field(default_factory=frozenset)
    calibrate: Calibration | None = None
    smoke: Smoke | None = None
    packages: Mapping[str, Any] | None = None
    """Of a lane that brings packages along: what its `import` stage installs."""

    def table(self, name: str) -> Mapping[str, Any]:
        """A table of the recipe, e.g. "train". Raises StageError when it is missing."""
        value = self.recipe.get(name)
        if not isinstance(value, Mapping):
            raise StageError(f"work/job.json: the recipe has no table [{name}]")
        return value

    def lane(self, name: str) -> Mapping[str, Any]:
        """The recipe's table of one lane; empty when it has none."""
        value = self.recipe.get("lanes", {}).get(name, {})
        return value if isinstance(value, Mapping) else {}

    @property
    def batch_rows(self) -> int:
        """Rows in one iteration: micro-batch times accumulation."""
        train = self.table("train")
        return int(train["micro_batch"]) * int(train["accumulation"])


def read_job(contract: Contract) -> Job:
    """Read the job of *contract*'s stage. Raises StageError that names what is wrong."""
    path = contract.work / "job.json"
    value = read_object(path)
    if value is None:
        raise StageError(f"{path} is missing or no JSON object; the keeper writes it")
    if value.get("schema") != SCHEMA:
        raise StageError(f"{path} has schema {value.get('schema')!r}, this payload knows {SCHEMA}")
    if value.get("stage", contract.stage) != contract.stage:
        raise StageError(f"{path} is for stage {value['stage']!r}, this is {contract.stage!r}")
    try:
        return _job(value, contract)
    except (KeyError, TypeError, ValueError) as error:
        raise StageError(f"{path} is not usable: {type(error).__name__}: {error}") from error


def _job(value: Mapping[str, Any], contract: Contract) -> Job:
    paths = value["paths"]
    calibrate, smoke = value.get("calibrate"), value.get("smoke")
    return Job(
        recipe=dict(value["recipe"]),
        base=Path(paths["base"]),
        data=Path(paths.get("data") or contract.run_dir / "data"),
        checkpoints=Path(paths.get("checkpoints") or contract.run_dir / "checkpoints"),
        work=Path(paths.get("work") or contract.work),
        export=Path(paths.get("export") or contract.run_dir / "export"),
        cache=Path(paths.get("cache") or contract.work / "cache"),
        iterations=_optional_int(value.get("iterations")),
        save_interval=max(1, int(value.get("save_interval") or 1)),
        resume_from=_optional_int(value.get("resume_from")),
        iteration=_optional_int(value.get("iteration")),
        forced_saves=frozenset(int(each) for each in value.get("forced_saves") or ()),
        calibrate=_calibration(calibrate) if calibrate else None,
        smoke=_smoke(smoke) if smoke else None,
        packages=value.get("packages"),
    )


def _calibration(value: Mapping[str, Any]) -> Calibration:
    return Calibration(
        steps=max(2, int(value["steps"])),
        seconds=float(value["seconds"]),
        min_iterations=max(1, int(value["min_iterations"])),
        checkpoints=max(1, int(value["checkpoints"])),
    )


def _smoke(value: Mapping[str, Any]) -> Smoke:
    return Smoke(
        iterations=max(1, int(value["iterations"])),
        saves=max(1, int(value.get("saves") or 1)),
        longest=max(0, int(value.get("longest") or 0)),
    )


def _optional_int(value: Any) -> int | None:
    return None if value is None else int(value)
