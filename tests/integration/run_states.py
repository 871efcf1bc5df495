"""A run in every state that its screen is drawn for, and all that its tabs show; fixed values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from monitor.events import Event
from monitor.metrics import Save
from monitor.model import Evidence, Liveness
from monitor.status_model import (
    AlertsView,
    CheckpointView,
    IterationView,
    RunStatus,
    StageView,
    WatcherView,
)
from tui.provenance import provenance
from tui.state import Point, RunDetail

GIB = 1 << 30
NOW = 1_779_370_200.0  # 2026-05-21 13:30 UTC, as in the fixtures of tests/tui
NAMES = (
    "empty",
    "working",
    "training",
    "log-stuck",
    "suspect",
    "stalled",
    "saving",
    "memory",
    "failed",
    "finished",
    "watcher-lost",
)


def run_in(name: str, states: dict[str, RunStatus | None]) -> RunStatus | None:
    """The run in the state *name*; *states* has those that every screen is drawn for."""
    if name in states:
        return states[name]
    training = states["training"]
    assert training is not None
    return replace(training, **_CHANGES[name](training))


def _working(_: RunStatus) -> dict[str, Any]:
    return {
        "verdict": Liveness.WORKING,
        "reason": "stage import, 214 of 310 tensors; the last progress was 2 s ago",
        "stage": "import",
        "stage_index": 3,
        "stages": (
            StageView(name="pull", status="skipped"),
            StageView(name="prepare", status="done", wall_s=41.0),
            StageView(name="import", status="running"),
            StageView(name="train", status="pending"),
            StageView(name="merge", status="pending"),
        ),
        "phase": None,
        "done": 214,
        "done_total": 310,
        "unit": "tensors",
        "iteration": IterationView(total=625),
        "loss": None,
        "lr": None,
        "step_s": None,
        "eta": None,
        "checkpoints": (),
        "evidence": (
            Evidence(
                signal="heartbeat", detail="214 of 310 tensors", age_s=2.0, supports="working"
            ),
            Evidence(signal="log", detail="grew by 88 bytes", age_s=2.0, supports="working"),
        ),
    }


def _suspect(_: RunStatus) -> dict[str, Any]:
    return {
        "verdict": Liveness.SUSPECT,
        "reason": "no progress for 6 min; the limit is 10 min",
        "since_wall": NOW - 60,
        "eta": None,
        "flags": ("slow",),
    }


def _saving(training: RunStatus) -> dict[str, Any]:
    half = CheckpointView(iteration=280, age_s=8.0, size_bytes=61 << 20, complete=False)
    return {
        "verdict": Liveness.SAVING,
        "reason": "saving for 8 s, iteration 280 of 625",
        "since_wall": NOW - 8,
        "phase": "saving",
        "iteration": IterationView(value=280, total=625, source="heartbeat"),
        "checkpoints": (*training.checkpoints, half),
    }


def _memory(training: RunStatus) -> dict[str, Any]:
    assert training.memory is not None
    return {
        "memory": replace(
            training.memory,
            used_bytes=101 * GIB,
            level="high",
            reason="9.0 GiB left: 101 of 110 GiB used, rising 1.1 GiB a minute",
            minutes_to_limit=8.0,
            process_bytes=12 * GIB,
            gpu_bytes=71 * GIB,
            cache_bytes=6 * GIB,
            available_bytes=19 * GIB,
            run_peak_bytes=88 * GIB,
            guard="asked the trainer to save and stop at 13:29",
        ),
        "alerts": AlertsView(pending=("memory-high",)),
    }


def _watcher_lost(_: RunStatus) -> dict[str, Any]:
    return {"watcher": WatcherView(pid=4712, alive=False, age_s=95.0)}


_CHANGES: dict[str, Callable[[RunStatus], dict[str, Any]]] = {
    "working": _working,
    "suspect": _suspect,
    "saving": _saving,
    "memory": _memory,
    "watcher-lost": _watcher_lost,
}

_RUN = {
    "run": "nemo-20260521-101112-3fa2",
    "name": "p65",
    "lane": "nemo",
    "engine": "docker",
    "kind": "full",
    "iterations": 625,
    "image": "nvcr.io/nvidia/nemo:26.04.00",
    "recipe_hash": "1860558003c9fd4b5a4723ddaf5efa298f0686287e33c0396c9a95f343c43bd2",
    "versions": {"lanewatch": "0.1.0", "python": "3.12.3", "machine": "aarch64"},
    "data": {"ids_sha256": "a5fcfe060333348e07ad976f4cb78d77", "rows": 10_000},
    "stages": ["pull", "prepare", "import", "train", "merge"],
    "recipe": {
        "model": {"path": "Qwen/Qwen3-8B", "sequence_length": 4096},
        "lora": {"rank": 16, "alpha": 32.0, "targets": ["q_proj", "k_proj", "v_proj", "o_proj"]},
        "train": {"iterations": 625, "save_interval": 70, "keep_last": 3, "lr": 1e-4},
        "docker": {"shm_gib": 8.0, "image": None},
        "lanes": {"nemo": {"lora": "canonical"}, "unsloth": {"fused_lora": True}},
    },
}
_STATE = {"attempt": 1, "process": {"pid": 4711, "container_id": "9f1c02", "image": None}}


def full_detail(status: RunStatus, plain: RunDetail) -> RunDetail:
    """Everything that the tabs show of *status*, beside *plain*: a night that began at 10:06."""
    last = status.iteration.value or 0
    begun = NOW - 3.4 * 3600
    at = [begun + 24 * each for each in range(511)]
    return replace(
        plain,
        lrs=tuple((each, 1e-4 * math.cos(each / 625 * 1.5)) for each in range(1, last + 1)),
        grad_norms=tuple((each, 0.4 + 12 / each + (each % 7) / 20) for each in range(1, last + 1)),
        step_times=tuple(
            (each, 32.4 + each % 3 + 41 * (each % 70 == 0)) for each in range(1, last + 1)
        ),
        history=tuple(
            Point(
                wall_s=wall,
                memory_bytes=(20 + min(41.0, (wall - begun) / 60)) * GIB,
                gpu_percent=96.0 - 50 * (number % 97 == 0),
                power_w=48.0 + number % 5,
                clock_mhz=2405.0 - 300 * (number % 41 == 0),
                temperature_c=60.0 + min(11.0, number / 20),
                cpu_percent=12.0,
            )
            for number, wall in enumerate(at)
        ),
        saves=tuple(
            Save(
                attempt=1,
                iteration=each,
                save_s=96.0 if each == 35 else 41.0,
                wall_s=NOW - (241 - each) * 32.4,
            )
            for each in (35, 70, 140, 210)
            if each <= last
        ),
        save_interval=70,
        keep_last=3,
        events=tuple(
            Event(
                wall_s=wall,
                boot_id=None,
                monotonic_s=None,
                source="watcher",
                kind=kind,
                text=text,
            )
            for wall, kind, text in (
                (begun, "note", "the watcher started"),
                (begun + 60, "stage", "stage train (4 of 5) began"),
                (begun + 900, "verdict", "training: iteration 1 of 625"),
                (
                    NOW - 66 * 60,
                    "verdict",
                    "log-stuck: the log has been silent for 2 min and still "
                    "says iteration 116, but the heartbeat proves iteration 120",
                ),
                (NOW - 1004, "checkpoint", "checkpoint 210 is whole (149 MiB)"),
                (NOW - 300, "alert", "log-stuck [bold]p65[/bold] was sent to \x1b[31mphone"),
            )
        ),
        recipe=provenance(_RUN, _STATE),
    )
