"""How long a run may go without progress, for each stage and phase. Pure.

The rule: until this run has shown its own pace a limit is a generous default; afterwards it is five
times the largest interval seen, never under a floor. Progress resets the clock, total time does not
matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from monitor.model import History, Phase, Stage

SAFETY_FACTOR = 5.0
"""Times the largest interval seen; NVIDIA's resiliency extension has the same factor."""
EARLY_FACTOR = 10.0
"""Times the largest iteration while fewer than `LEARNT_STEPS` were seen."""
LEARNT_STEPS = 5
LEARNT_SAVES = 2
LEARNT_EVALS = 2
POWER_SHARE = 0.7
"""A GPU of its own that draws this share of the run's median power is at work on something."""
POWER_FACTOR = 3.0
"""Times the limit, while the GPU is at work."""
EARLY_PATIENCE = 2.0
"""Times the limit of an iteration that is not learnt yet, while the CPU is used: ten times the
largest of four, or ten minutes, is less than an iteration may suddenly take."""
JUMP_FACTOR = 12.0
"""Times as long an iteration may suddenly take in a run that trains: no alarm may come of that."""
LONGEST_WAIT_S = 23 * 3600.0
"""For a checkpoint, where only its coming can tell: a run that hangs is told of within the day."""
LATELY_S = 600.0
"""So long after its GPU drew little a run that is seen by its checkpoints alone is not at work."""
ABSENCE_S = 595.0
"""Seconds without any activity at all after which no phase is an excuse.

Ten minutes, less the looks that find it: the last use was up to a look before the hang, the verdict
comes up to a look after the limit, and an alert waits for a second one.
"""

DEFAULTS: Mapping[str, float] = {
    "start": 1800.0,
    "first_iteration": 1800.0,
    "iteration": 600.0,
    "first_save": 1800.0,
    "save": 900.0,
    "eval": 3600.0,
    "stage": 1800.0,
}
FLOORS: Mapping[str, float] = {
    # These four are only ever learnt from an earlier run, whose caches may have been warm.
    "start": 600.0,
    "first_iteration": 600.0,
    "first_save": 600.0,
    "stage": 600.0,
    "iteration": 60.0,
    "save": 120.0,
    "eval": 120.0,
}


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit in seconds, the name it has in the recipe, and whether this run taught it."""

    name: str
    seconds: float
    learnt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitConfig:
    """Defaults and floors by limit name, and the longest seen in an earlier such run."""

    defaults: Mapping[str, float] = field(default_factory=lambda: DEFAULTS)
    floors: Mapping[str, float] = field(default_factory=lambda: FLOORS)
    seeds: Mapping[str, float] = field(default_factory=dict)
    """Largest intervals in seconds that the last finished run of this recipe, lane and box had."""


def limits_from(
    overrides: Mapping[str, object] | None, seeds: Mapping[str, float] | None = None
) -> LimitConfig:
    """Return the limits with a recipe's `[liveness]` table applied.

    Keys are `NAME_default_s` and `NAME_floor_s`; what is no positive number is left out, since a
    watcher must start on any run.json.
    """
    if not overrides and not seeds:
        return STANDARD
    defaults, floors = dict(DEFAULTS), dict(FLOORS)
    for key, value in (overrides or {}).items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            continue
        for suffix, table in (("_default_s", defaults), ("_floor_s", floors)):
            if key.endswith(suffix) and key.removesuffix(suffix) in table:
                table[key.removesuffix(suffix)] = float(value)
    return LimitConfig(defaults=defaults, floors=floors, seeds=dict(seeds or {}))


STANDARD = LimitConfig()
"""Of a recipe that says nothing and of no earlier run."""


def seeded(config: LimitConfig, seeds: Mapping[str, float] | None) -> LimitConfig:
    """Return *config* with *seeds*; without any it stays as it is."""
    return replace(config, seeds=dict(seeds)) if seeds else config


def limit_for(
    stage: str | None,
    phase: str | None,
    history: History,
    config: LimitConfig,
    step_s: float | None = None,
) -> Limit:
    """Return the limit on time since progress for *stage* and *phase*.

    *step_s* is what the trainer says its last iteration took: the first of them ends no interval
    that a watcher could have seen.
    """
    if stage not in (None, Stage.TRAIN):
        return _until_learnt("stage", config)
    if phase in (Phase.SAVING, Phase.STOPPING):
        return _save_limit(history, config)
    if phase == Phase.EVALUATING:
        learnt = history.eval_max_s if history.eval_count >= LEARNT_EVALS else None
        return _limit("eval", learnt, config)
    if phase == Phase.FIRST_ITERATION:
        return _until_learnt("first_iteration", config)
    if phase == Phase.ITERATION:
        return _iteration_limit(history, config, step_s)
    return _until_learnt("start", config)


def _save_limit(history: History, config: LimitConfig) -> Limit:
    """A process's first save is its own phase: it was measured 50 times as long as a later one."""
    if history.saves_this_process == 0:
        return _until_learnt("first_save", config)
    learnt = history.save_max_s if history.save_count >= LEARNT_SAVES else None
    return _limit("save", learnt, config)


def _iteration_limit(history: History, config: LimitConfig, step_s: float | None) -> Limit:
    if history.step_max_s is not None and history.step_count >= LEARNT_STEPS:
        return _limit("iteration", history.step_max_s, config)
    limit = _until_learnt("iteration", config)
    largest = max(history.step_max_s or 0.0, step_s or 0.0)
    return Limit("iteration", max(limit.seconds, EARLY_FACTOR * largest), limit.learnt)


def _until_learnt(name: str, config: LimitConfig) -> Limit:
    return _limit(name, None, config)


def _limit(name: str, largest_s: float | None, config: LimitConfig) -> Limit:
    largest_s = config.seeds.get(name) if largest_s is None else largest_s
    if largest_s is None:
        return Limit(name, config.defaults[name])
    return Limit(name, max(config.floors[name], SAFETY_FACTOR * largest_s), learnt=True)
