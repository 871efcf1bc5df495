"""summary.json: the run in figures, written once at its end. What is not known is null, never 0."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from monitor.files import read_json, write_json
from monitor.memory_model import MemoryPeaks
from monitor.metrics import Metric, Metrics, Save, read_metrics
from monitor.model import Status
from monitor.rundir import SCHEMA, RunDir
from monitor.store import GpuSample, Sample, read_samples
from monitor.watch_state import read_watch
from runners.errors import RunnerError
from runners.projection import SmokeResult, project, relative_error
from runners.runs import iter_runs

logger = logging.getLogger(__name__)

IDLE_PERCENT = 5
"""A GPU below this utilisation is counted as idle."""

SAMPLED_S = 10.0
"""A sample in so many seconds is read: a day of them fits in a few MiB."""

LONGEST_INTERVAL_S = 60.0
"""Samples of old days are a minute apart; a longer gap was not observed and counts no further."""


def write_summary(run: RunDir, state: Mapping[str, Any]) -> None:
    """Write summary.json; a failure is logged, the run's end does not wait for it."""
    try:
        write_json(run.summary, summarise(run, state), durable=True)
    except Exception:
        # Foreign content in any of the run's files must not keep a run from ending.
        logger.exception("cannot write %s", run.summary)


def summarise(run: RunDir, state: Mapping[str, Any]) -> dict[str, Any]:
    """Put together what the files of *run* tell, given the content of its last state.json."""
    info = read_json(run.run_json).value or {}
    metrics = read_metrics(run.metrics)
    train = _stage(state, "train")
    figures = _pace(metrics) | _machine(run, train)
    wall = _wall(state, train)
    summary: dict[str, Any] = {
        "schema": SCHEMA,
        "run": run.root.name,
        "lane": info.get("lane"),
        "kind": info.get("kind"),
        "status": state.get("status"),
        "cause": state.get("cause"),
        "attempts": state.get("attempt"),
        "recipe_hash": info.get("recipe_hash"),
        "stages": [
            {key: stage.get(key) for key in ("name", "status", "wall_s", "note")}
            for stage in state.get("stages", [])
        ],
        "train_wall_s": wall,
        **figures,
    }
    tokens, steps_s = figures["tokens"], figures["steps_s"]
    summary["tokens_per_s"] = tokens / steps_s if tokens and steps_s else None
    summary |= _smoke(run, info) if info.get("kind") == "smoke" else _errors(run, summary, info)
    return summary


def _stage(state: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    stages = [stage for stage in state.get("stages", []) if stage.get("name") == name]
    return stages[0] if stages else {}


def _wall(state: Mapping[str, Any], train: Mapping[str, Any]) -> float | None:
    """Seconds spent in `train`, over all attempts."""
    walls = (train.get("wall_s"), state.get("earlier_train_wall_s"))
    known = [wall for wall in map(_number, walls) if wall]
    return sum(known) if known else None


def _pace(metrics: Metrics) -> dict[str, Any]:
    iterations = _of_the_last_attempt(metrics.iterations)
    steps = [each.step_s for each in iterations if each.step_s is not None]
    last = iterations[-1] if iterations else None
    first, later = _save_costs(metrics.saves)
    return {
        "iterations": last.iteration if last else None,
        "steps_s": sum(steps) or None,
        "step_median_s": statistics.median(steps) if steps else None,
        "step_p95_s": _percentile(steps, 0.95),
        "saves": len(metrics.saves),
        "first_save_s": first,
        "save_median_s": statistics.median(later) if later else None,
        "tokens": _tokens(iterations),
        "final_loss": last.loss if last else None,
    }


def _of_the_last_attempt(iterations: Sequence[Metric]) -> Sequence[Metric]:
    """Up to where the newest attempt got: what an earlier one did beyond that was lost."""
    newest = max((each.attempt for each in iterations), default=None)
    end = max((each.iteration for each in iterations if each.attempt == newest), default=0)
    return [each for each in iterations if each.iteration <= end]


def _save_costs(saves: Sequence[Save]) -> tuple[float | None, list[float]]:
    """The first save of the first attempt, and all that were not the first of their process."""
    firsts: dict[int, Save] = {}
    for save in saves:
        firsts.setdefault(save.attempt, save)
    later = [save.save_s for save in saves if save is not firsts[save.attempt]]
    return (saves[0].save_s if saves else None), later


def _percentile(values: Sequence[float], share: float) -> float | None:
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def _tokens(iterations: Sequence[Metric]) -> int | None:
    """Tokens of all iterations; each line tells its own."""
    counts = [each.tokens for each in iterations if each.tokens is not None]
    return sum(counts) if counts else None


def _machine(run: RunDir, train: Mapping[str, Any]) -> dict[str, Any]:
    began = _number(train.get("started_wall"))
    samples = read_samples(run.telemetry, since_wall=began, every=SAMPLED_S).value or ()
    watch = read_watch(run.watch).value
    peaks = watch.memory.peaks if watch and watch.memory else MemoryPeaks()
    return {
        "peak_memory_bytes": watch.used_peak_bytes if watch else None,
        "process_peak_bytes": watch.rss_peak_bytes if watch else None,
        "run_peak_bytes": peaks.used_bytes,
        "gpu_peak_bytes": peaks.gpu_bytes,
        **_gpu_minutes(samples),
    }


def _gpu_minutes(samples: Sequence[Sample]) -> dict[str, Any]:
    """Minutes with every GPU idle, and with any throttled; each sample stands for its interval."""
    if not any(sample.gpus for sample in samples):
        return {"idle_minutes": None, "throttle_minutes": None}
    idle = throttled = 0.0
    for sample, following in itertools.pairwise(samples):
        minutes = min(max(following.wall_s - sample.wall_s, 0.0), LONGEST_INTERVAL_S) / 60
        if sample.gpus and all(map(_is_idle, sample.gpus)):
            idle += minutes
        if any(gpu.throttle for gpu in sample.gpus):
            throttled += minutes
    return {"idle_minutes": idle, "throttle_minutes": throttled}


def _is_idle(gpu: GpuSample) -> bool:
    return gpu.utilisation_percent is not None and gpu.utilisation_percent < IDLE_PERCENT


def _smoke(run: RunDir, info: Mapping[str, Any]) -> dict[str, Any]:
    """What the smoke run projects for the whole recipe."""
    measured = (read_json(run.result).value or {}).get("smoke")
    if not isinstance(measured, dict) or _number(measured.get("step_median_s")) is None:
        return {"smoke": None, "projection": None}
    train = info.get("recipe", {}).get("train", {})
    if not isinstance(train.get("iterations"), int):
        return {"smoke": measured, "projection": None}
    projection = project(
        SmokeResult(
            step_s=float(measured["step_median_s"]),
            first_save_s=_number(measured.get("first_save_s")),
            later_save_s=_number(measured.get("later_save_s")),
        ),
        iterations=train["iterations"],
        save_interval=train["save_interval"],
        eval_interval=info["recipe"].get("data", {}).get("eval_interval"),
    )
    peak = {"peak_memory_bytes": measured.get("peak_memory_bytes")}
    return {"smoke": measured, "projection": dataclasses.asdict(projection) | peak}


def _errors(run: RunDir, summary: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, Any]:
    """How wrong the newest smoke run of the same recipe and lane was about this run.

    Held against its training loop, as the projections are; of a run that did not finish, nothing.
    """
    projection, source = _newest_projection(run, info)
    actual, evals_s, measured_by = _training(run, summary)
    if projection is None or actual is None or summary["status"] != Status.FINISHED:
        return {"projection_errors": None}
    kinds = ("naive", "padded", "save_aware")
    errors = {kind: relative_error(_number(projection.get(f"{kind}_s")), actual) for kind in kinds}
    percent = {
        kind: None if error is None else round(100 * error, 1) for kind, error in errors.items()
    }
    told = {"percent": percent, "actual_s": actual, "evals_s": evals_s, "actual_from": measured_by}
    return {"projection_errors": errors | told | {"smoke_run": source}}


def _training(run: RunDir, summary: Mapping[str, Any]) -> tuple[float | None, float | None, str]:
    """Seconds of the training loop, those of its evaluations among them, and who measured it.

    Iterations, saves and evaluations by the trainer's own clock: so neither loading nor what an
    interruption cost is taken for an error of a projection. Without them the wall time of the stage
    has to do.
    """
    metrics, steps_s = read_metrics(run.metrics), _number(summary["steps_s"])
    if steps_s is None:
        return _number(summary["train_wall_s"]), None, "stage"
    saves_s = sum(each.save_s for each in metrics.saves)
    evals_s = sum(each.eval_s or 0.0 for each in metrics.evals)
    return steps_s + saves_s + evals_s, evals_s, "metrics"


def _newest_projection(
    run: RunDir, info: Mapping[str, Any]
) -> tuple[dict[str, Any] | None, str | None]:
    try:
        others = list(iter_runs(run.root.parent))
    except RunnerError:
        return None, None
    for other in reversed(others):
        summary = read_json(other.summary).value or {}
        same = all(summary.get(key) == info.get(key) for key in ("lane", "recipe_hash"))
        if same and isinstance(summary.get("projection"), dict):
            return summary["projection"], other.root.name
    return None, None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
