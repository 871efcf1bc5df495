"""Read what a comparison needs of a run's folder. What cannot be read is not known."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monitor.events import read_events
from monitor.files import read_json
from monitor.metrics import Metric, Metrics, read_metrics
from monitor.rundir import RunDir
from monitor.status import read_status
from monitor.store import Sample, read_samples
from runners.checkpoint_files import HEADER_LIMIT_BYTES
from runners.compare.facts import Curve, Curves, RunFacts
from runners.compare.foreign import told_by_command
from runners.compare.judge import flat
from runners.compare.table import ROWS
from runners.recipe.comparison import adapter_parameters
from runners.recipe.model import Recipe
from runners.summary import summarise

SAMPLED_S = 10.0
LONGEST_S = 60.0
"""Between two samples that energy is counted over; a longer gap was not observed."""

ADAPTER = "adapter_model.safetensors"


def read_facts(run: RunDir) -> RunFacts:
    """Return all that is known of *run*, which may be live, foreign or half there."""
    problems: list[str] = []
    info = _object(run.run_json, problems)
    state = _object(run.state, problems)
    summary = _summary(run, state, problems)
    metrics = read_metrics(run.metrics)
    if not run.metrics.is_file() and not summary.get("saves"):
        summary = {**summary, "saves": None}  # nobody counted: None is not 0
    samples = _samples(run, state, problems)
    adapter = _adapter_file(run)
    foreign = info.get("kind") == "foreign"
    recipe = info.get("recipe")
    recipe = recipe if isinstance(recipe, dict) and not foreign else {}
    image = info.get("image") or info.get("container") or {}
    image = image if isinstance(image, dict) else {}
    return RunFacts(
        run=run.root.name,
        name=_text(info.get("name")),
        lane=_text(info.get("lane")),
        engine=_text(info.get("engine")),
        kind=_text(info.get("kind")),
        status=_text(state.get("status")),
        recipe=told_by_command(info) if foreign else flat(recipe),
        by_command=foreign,
        ids_sha256=_text(_part(info, "data").get("ids_sha256")),
        base_revision=_text(_part(info, "fetch").get("revision")),
        adapter_parameters=_parameters(adapter, recipe, info),
        image=_text(image.get("name")) or _text(image.get("image")),
        image_digest=_text(image.get("digest")) or _text(image.get("id")),
        made_by=_made_by(_part(info, "versions")),
        attempts=_whole(state.get("attempt")),
        figures=_figures(summary, metrics, samples, adapter)
        | (_from_outside(run) if foreign and not metrics.iterations else {}),
        curves=_curves(metrics, samples),
        problems=tuple(problems),
    )


def _object(path: Path, problems: list[str]) -> dict[str, Any]:
    read = read_json(path)
    if read.problem:
        problems.append(read.problem)
    return read.value or {}


def _summary(run: RunDir, state: Mapping[str, Any], problems: list[str]) -> Mapping[str, Any]:
    """The keeper's last word; of a run that goes on (again), what it would be now."""
    kept = _object(run.summary, problems)
    if kept and kept.get("attempts") == state.get("attempt"):
        return kept
    try:
        return summarise(run, state)
    except Exception as error:  # noqa: BLE001 - foreign content in any of its files
        problems.append(f"no figures: {type(error).__name__}: {error}")
        return {}


def _samples(run: RunDir, state: Mapping[str, Any], problems: list[str]) -> Sequence[Sample]:
    """Those of the training; of a run without stages, all."""
    stages = state.get("stages")
    train: Mapping[str, Any] = {}
    for each in stages if isinstance(stages, list) else ():
        if isinstance(each, dict) and each.get("name") == "train":
            train = each
    began = _number(train.get("started_wall"))
    read = read_samples(run.telemetry, since_wall=began, every=SAMPLED_S)
    if read.problem:
        problems.append(read.problem)
    return [each for each in read.value or () if each.stage in (None, "train")]


def _figures(
    summary: Mapping[str, Any],
    metrics: Metrics,
    samples: Sequence[Sample],
    adapter: Path | None,
) -> dict[str, float | None]:
    found = {key: _number(summary.get(key)) for key, _, _ in ROWS}
    evals = [each.eval_loss for each in metrics.evals if each.eval_loss is not None]
    errors = _part(summary, "projection_errors")
    naive, aware = (_number(errors.get(key)) for key in ("naive", "save_aware"))
    found |= {
        "eval_loss": evals[-1] if evals else None,
        "projection_error": naive if aware is None else aware,
        "adapter_bytes": None if adapter is None else _size(adapter),
    }
    return found | _heat(samples)


def _from_outside(run: RunDir) -> dict[str, float | None]:
    """Of a run that writes no metrics: what its watcher saw. None is not 0: nobody counted."""
    status = read_status(run.root)
    told = [each for each in read_events(run.events) if each.kind == "checkpoint"]
    seen = {each.fields.get("iteration") for each in told} - {None}
    return {
        "iterations": _number(status.iteration.value),
        "saves": len(seen) or None,
        "final_loss": _number(status.loss),
    }


def _heat(samples: Sequence[Sample]) -> dict[str, float | None]:
    """Temperature of the hottest GPU and power of all, over the training."""
    warm = [
        max(known)
        for each in samples
        if (known := [gpu.temperature_c for gpu in each.gpus if gpu.temperature_c is not None])
    ]
    power = [(each.wall_s, total) for each in samples if (total := _power(each)) is not None]
    energy = sum(
        min(max(after[0] - before[0], 0.0), LONGEST_S) * before[1]
        for before, after in itertools.pairwise(power)
    )
    return {
        "temperature_median_c": statistics.median(warm) if warm else None,
        "temperature_max_c": max(warm, default=None),
        "power_mean_w": statistics.fmean(watt for _, watt in power) if power else None,
        "energy_wh": energy / 3600 if len(power) > 1 else None,
    }


def _power(sample: Sample) -> float | None:
    known = [gpu.power_w for gpu in sample.gpus if gpu.power_w is not None]
    return sum(known) if known else None


def _curves(metrics: Metrics, samples: Sequence[Sample]) -> Curves:
    iterations = metrics.iterations
    began = next((each.wall_s for each in iterations if each.wall_s is not None), None)
    loss: Curve = tuple((each.iteration, each.loss) for each in iterations if each.loss is not None)
    if not loss:  # of a foreign run, what its log told the watcher
        told = {each.iteration: each.loss for each in samples if each.iteration is not None}
        loss = tuple((at, value) for at, value in sorted(told.items()) if value is not None)
    first = samples[0].wall_s if samples else 0.0
    return Curves(
        loss=loss,
        loss_wall=_by_wall(iterations, began, "loss"),
        step=tuple((each.iteration, each.step_s) for each in iterations if each.step_s is not None),
        step_wall=_by_wall(iterations, began, "step_s"),
        memory=tuple(
            (each.wall_s - first, float(each.mem_used_bytes))
            for each in samples
            if each.mem_used_bytes is not None and each.wall_s >= first
        ),
    )


def _by_wall(iterations: Sequence[Metric], began: float | None, name: str) -> Curve:
    if began is None:
        return ()
    points = [
        (each.wall_s - began, value)
        for each in iterations
        if each.wall_s is not None and (value := getattr(each, name)) is not None
    ]
    return tuple(sorted(point for point in points if point[0] >= 0))


def _adapter_file(run: RunDir) -> Path | None:
    """The adapter that was exported, else the newest checkpoint's."""
    kept = [run.export / "adapter-hf" / ADAPTER]
    kept += sorted(run.checkpoints.glob(f"iter_*/{ADAPTER}"), reverse=True)
    return next((path for path in kept if path.is_file()), None)


def _parameters(
    adapter: Path | None, recipe: Mapping[str, Any], info: Mapping[str, Any]
) -> int | None:
    """Counted in the adapter's own header; before there is one, from recipe and base."""
    counted = None if adapter is None else _counted(adapter)
    base = _part(info, "paths").get("base")
    if counted is not None or not isinstance(base, str):
        return counted
    config = read_json(Path(base) / "config.json").value
    try:
        return adapter_parameters(Recipe.model_validate(recipe), config)
    except ValueError:
        return None


def _size(path: Path) -> float | None:
    try:
        return float(path.stat().st_size)
    except OSError:
        return None


def _counted(path: Path) -> int | None:
    """Numbers in a safetensors file, by its header."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 0 < length <= HEADER_LIMIT_BYTES:
                return None
            header = json.loads(stream.read(length))
        shapes = [each["shape"] for name, each in header.items() if name != "__metadata__"]
        return sum(int(math.prod(shape)) for shape in shapes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _made_by(versions: Mapping[str, Any]) -> str | None:
    named = [
        f"{key} {versions[key]}" for key in ("lanewatch", "kernel", "machine") if versions.get(key)
    ]
    return ", ".join(named) or None


def _part(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = value.get(key)
    return part if isinstance(part, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
