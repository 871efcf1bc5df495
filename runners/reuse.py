"""`launch --from STAGE`: a new run that begins there, with what an earlier one of its recipe made.

The rule: files are linked, never moved, so the earlier run stays what it is; only an output that
the earlier run itself would not make again is taken, and only where the base is the same.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.files import read_json
from monitor.model import Stage
from monitor.rundir import TRACKER, RunDir
from runners.errors import RunnerError
from runners.lanes.base import StagePlan
from runners.payload.checkpoints import link_tree
from runners.payload.training_plan import PLAN_FILE
from runners.runs import iter_runs, read_run
from runners.stages import Plan, newest_whole

TAKEN = (Stage.FETCH, Stage.PREPARE, Stage.TRAIN)
"""Stages whose output lies in the run; what others make is shared, and they look for it at once."""


@dataclass(frozen=True, slots=True)
class Donor:
    """An earlier run of the same recipe and lane, and what is taken from it."""

    plan: Plan
    stages: tuple[Stage, ...]

    @property
    def run(self) -> RunDir:
        return self.plan.run


def find_donor(
    root: Path,
    info: Mapping[str, Any],
    plans: Sequence[StagePlan],
    stage: str,
    base: Path | None = None,
) -> Donor:
    """Return the newest run whose stages before *stage* are all whole.

    *info* is the new run's run.json, *plans* its stages; *base* is the folder of its base model,
    None where that is taken along. Raises RunnerError where there is none.
    """
    names = [plan.stage.value for plan in plans]
    if stage not in names:
        raise RunnerError(f"--from {stage}: the {info['lane']} lane has {', '.join(names)}")
    before = [plan.stage for plan in plans[: names.index(stage)]]
    wanted = tuple(each for each in before if each in TAKEN)
    other = ""
    for run in reversed(list(iter_runs(root))):
        plan = _same(run, info)
        if plan is None or not _has(plan, wanted):
            continue
        if _of_base(plan, base, info):
            return Donor(plan, wanted)
        other = f" ({run.root.name} has, but with another content of the base)"
    raise RunnerError(
        f"--from {stage}: no run of this recipe in the {info['lane']} lane has finished "
        f"{' and '.join(wanted) or 'anything'}{other}; launch it from the start, or `lanewatch "
        "export` a checkpoint of one that was stopped"
    )


def _same(run: RunDir, info: Mapping[str, Any]) -> Plan | None:
    try:
        found = read_run(run)
    except RunnerError:
        return None
    same = all(found.get(key) == info[key] for key in ("recipe_hash", "lane", "kind"))
    return Plan(run, found) if same else None


def _of_base(plan: Plan, base: Path | None, info: Mapping[str, Any]) -> bool:
    """True unless the run trained another base: a name of the hub may mean a newer one by now.

    So may a folder, into which another model was put since.
    """
    if base is None:
        return True
    then, now = plan.info.get("base_identity"), info.get("base_identity")
    if then is not None and now is not None and then != now:
        return False
    same: bool = os.path.realpath(plan.info["paths"]["base"]) == os.path.realpath(base)
    return same


def _has(plan: Plan, wanted: Sequence[Stage]) -> bool:
    whole = {each.stage for each in plan.stages if each.stage in wanted and plan.is_done(each)}
    return whole >= set(wanted)


def told(donor: Donor) -> dict[str, Any]:
    """What run.json of the new run says of it."""
    info = donor.plan.info
    return {
        "iterations": info.get("iterations"),
        "data": info.get("data"),
        "fetch": info.get("fetch"),
        "taken_from": {"run": donor.run.root.name, "stages": [each.value for each in donor.stages]},
    }


def take(donor: Donor, new: Plan) -> None:
    """Link the donor's outputs into the *new* run and record them as whole. Raises RunnerError."""
    try:
        for stage in donor.stages:
            _take(stage, donor, new)
        for plan in new.stages:
            if plan.stage in donor.stages:
                new.mark_done(plan)
    except OSError as error:
        raise RunnerError(
            f"cannot take {donor.run.root}: {error.filename}: {error.strerror or error}"
        ) from error


def _take(stage: Stage, donor: Donor, new: Plan) -> None:
    if stage is Stage.PREPARE:
        shutil.rmtree(new.run.data)
        link_tree(donor.run.data, new.run.data)
    elif stage is Stage.FETCH:
        _take_base(Path(donor.plan.info["paths"]["base"]), Path(new.info["paths"]["base"]))
    elif stage is Stage.TRAIN:
        _take_checkpoint(donor, new.run)


def _take_base(theirs: Path, ours: Path) -> None:
    if theirs.is_symlink():
        ours.symlink_to(os.path.realpath(theirs))  # into the hub's cache, whose files are not ours
    elif not ours.exists():
        link_tree(theirs, ours)


def _take_checkpoint(donor: Donor, run: RunDir) -> None:
    last = newest_whole(donor.run)
    if last is None:
        return
    link_tree(donor.run.checkpoint(last), run.checkpoint(last))
    (run.checkpoints / TRACKER).write_text(f"{last}\n", encoding="ascii")
    if read_json(donor.run.work / PLAN_FILE).value is not None:
        shutil.copyfile(donor.run.work / PLAN_FILE, run.work / PLAN_FILE)
