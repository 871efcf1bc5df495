"""Run folders that a comparison reads: written by hand, with figures that are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from monitor.rundir import RunDir
from monitor.samples import GpuSample, Sample
from monitor.telemetry_file import TelemetryFile

BEGAN = 1_779_300_000.0
GIB = 1 << 30

RECIPE: dict[str, Any] = {
    "model": {"path": "/models/qwen", "sequence_length": 4096},
    "data": {"path": "/data/rows.jsonl", "shape": "auto", "eval_interval": 50},
    "lora": {"rank": 16, "alpha": 32.0, "targets": ["q_proj", "v_proj"]},
    "train": {"iterations": 100, "lr": 1e-4, "save_interval": 50, "keep_last": 0},
    "memory": {"limit_gib": None},
    "lanes": {"nemo": {"lora": "canonical"}},
}


def recipe(**changes: Any) -> dict[str, Any]:
    """The recipe with some of its fields changed: train__lr=2e-4."""
    made: dict[str, Any] = json.loads(json.dumps(RECIPE))
    for path, value in changes.items():
        table, _, key = path.partition("__")
        made[table][key] = value
    return made


def make_run(
    root: Path,
    name: str,
    *,
    lane: str = "nemo",
    step_s: float = 30.0,
    temperature_c: float = 70.0,
    iterations: int = 100,
    ids: str | None = "a" * 64,
    attempt: int = 1,
    status: str = "finished",
    parameters: int | None = 8_388_608,
    **changes: Any,
) -> RunDir:
    """A run that has ended, with losses, telemetry and an adapter of so many parameters."""
    number = len(list(root.glob("*"))) if root.is_dir() else 0
    run = RunDir(root / f"{lane}-20260520-22{number:02d}00-{number:04x}")
    run.logs.mkdir(parents=True)
    made = recipe(**changes)
    _put(
        run.run_json,
        {
            "run": run.root.name,
            "name": name,
            "lane": lane,
            "engine": "docker",
            "kind": "full",
            "recipe": made,
            "recipe_hash": "h",
            "image": {"name": f"{lane}:1", "digest": f"{lane}@sha256:1"},
            "versions": {"lanewatch": "0.1.0", "kernel": "6.11", "machine": "aarch64"},
            "data": {"ids_sha256": ids, "rows": 100, "tokens": 9000},
        },
    )
    train = {"name": "train", "status": "done", "started_wall": BEGAN, "wall_s": step_s * 110}
    _put(run.state, {"attempt": attempt, "status": status, "stages": [train]})
    lines = [
        {
            "attempt": 1,
            "iteration": at,
            "loss": 0.8 + 1.4 / (1 + at / 25) + 0.02 * (at % 5),
            "step_s": step_s + at % 3,
            "tokens": 65_536,
            "wall_s": BEGAN + at * step_s,
        }
        for at in range(1, iterations + 1)
    ]
    run.metrics.write_text("".join(json.dumps(each) + "\n" for each in lines))
    _telemetry(run, step_s * iterations, temperature_c)
    if parameters is not None:
        _adapter(run, parameters)
    return run


def _telemetry(run: RunDir, seconds: float, temperature_c: float) -> None:
    samples = [
        Sample(
            boot_id="b",
            monotonic_s=float(at),
            wall_s=BEGAN + at,
            stage="train",
            mem_used_bytes=(50 + at % 60 // 20) * GIB,
            gpus=(GpuSample(index=0, power_w=50.0, temperature_c=temperature_c),),
        )
        for at in range(0, int(seconds), 30)
    ]
    file = TelemetryFile(run.telemetry)
    file.write(samples)
    file.close()


def _adapter(run: RunDir, parameters: int) -> None:
    header = json.dumps(
        {"w": {"dtype": "F32", "shape": [parameters // 16, 16], "data_offsets": [0, 0]}}
    ).encode()
    folder = run.checkpoint(100)
    folder.mkdir(parents=True)
    raw = len(header).to_bytes(8, "little") + header
    (folder / "adapter_model.safetensors").write_bytes(raw)


def _put(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value))
