"""The files of two pictured runs that the comparison reads by itself: one recipe, two lanes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.rundir import RunDir
from monitor.samples import GpuSample, Sample
from monitor.telemetry_file import TelemetryFile

GIB = 1 << 30
SAMPLED_S = 30
SAVE_INTERVAL = 70
RECIPE: dict[str, Any] = {
    "model": {"path": "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", "sequence_length": 4096},
    "data": {"path": "/home/ann/patents/v3_full_5000.train.jsonl"},
    "lora": {"rank": 16, "alpha": 32.0, "dropout": 0.05},
    "train": {"iterations": 625, "lr": 1e-4, "micro_batch": 2, "accumulation": 8},
}
IMAGES = {
    "nemo": "nvcr.io/nvidia/nemo:26.04.00",
    "unsloth": "nvcr.io/nvidia/pytorch:25.11-py3",
}
ROWS_AN_ITERATION, TOKENS_A_ROW = 16, 1900
ADAPTER_PARAMETERS = 15_335_424


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What one run has done so far."""

    run: str
    name: str
    lane: str
    status: str
    began_wall: float
    losses: Sequence[tuple[int, float]]
    steps: Sequence[tuple[int, float]]
    memory_gib: float
    temperature_c: float
    power_w: float


def write_run(root: Path, trained: Trained) -> None:
    """The folder of a run, as far as a comparison looks into it."""
    run = RunDir(root / trained.run)
    run.root.mkdir(parents=True, exist_ok=True)
    image = IMAGES[trained.lane]
    about = {
        "run": trained.run,
        "name": trained.name,
        "lane": trained.lane,
        "engine": "docker",
        "kind": "full",
        "recipe": RECIPE,
        "image": {"name": image, "digest": f"{image}@sha256:1"},
        "versions": {"lanewatch": "0.1.0", "kernel": "6.11", "machine": "aarch64"},
        "data": {"ids_sha256": "5" * 64, "rows": 5000},
    }
    seconds = sum(step_s for _, step_s in trained.steps)
    train = {"name": "train", "started_wall": trained.began_wall, "wall_s": seconds}
    _put(run.run_json, about)
    _put(run.state, {"attempt": 1, "status": trained.status, "stages": [train]})
    _metrics(run, trained)
    _telemetry(run, trained, int(seconds))
    _adapter(run, trained.losses[-1][0] // SAVE_INTERVAL * SAVE_INTERVAL)


def _metrics(run: RunDir, trained: Trained) -> None:
    wall_s, lines = trained.began_wall, []
    for (at, loss), (_, step_s) in zip(trained.losses, trained.steps, strict=True):
        wall_s += step_s
        done = {"attempt": 1, "iteration": at, "loss": loss, "step_s": step_s, "wall_s": wall_s}
        lines.append(done | {"tokens": ROWS_AN_ITERATION * TOKENS_A_ROW})
        if at % SAVE_INTERVAL == 0:
            save_s = 40.0 + at % 3 if at > SAVE_INTERVAL else 96.0
            lines.append({"attempt": 1, "iteration": at, "save_s": save_s, "wall_s": wall_s})
    run.metrics.write_text("".join(f"{json.dumps(each)}\n" for each in lines), encoding="utf-8")


def _telemetry(run: RunDir, trained: Trained, seconds: int) -> None:
    gpu = GpuSample(index=0, power_w=trained.power_w, temperature_c=trained.temperature_c)
    samples = [
        Sample(
            boot_id="b",
            monotonic_s=float(at),
            wall_s=trained.began_wall + at,
            stage="train",
            mem_used_bytes=int((trained.memory_gib + (at // 600) % 3 * 0.6) * GIB),
            gpus=(gpu,),
        )
        for at in range(0, seconds, SAMPLED_S)
    ]
    file = TelemetryFile(run.telemetry)
    file.write(samples)
    file.close()


def _adapter(run: RunDir, iteration: int) -> None:
    weights = {"dtype": "F32", "shape": [ADAPTER_PARAMETERS], "data_offsets": [0, 0]}
    header = json.dumps({"lora": weights}).encode()
    folder = run.checkpoint(iteration)
    folder.mkdir(parents=True)
    raw = len(header).to_bytes(8, "little") + header
    path = folder / "adapter_model.safetensors"
    path.write_bytes(raw)
    os.truncate(path, len(raw) + 4 * ADAPTER_PARAMETERS)


def _put(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
