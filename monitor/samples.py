"""One telemetry sample: what is worth keeping of one second of a run, and its shape in SQLite.

The rule: a column is added at the end of `Sample` and `VERSION` goes up; none changes its meaning.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from monitor.model import GpuReading, Observation, Verdict
from monitor.probes.clock import Now
from monitor.probes.numbers import finite, whole

VERSION = 1
"""`PRAGMA user_version` of a telemetry file."""

APPLICATION_ID = 0x6C77_7463
""""lwtc": `PRAGMA application_id`, so that a foreign database is never taken for ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSample:
    """What is kept of one GPU."""

    index: int
    utilisation_percent: float | None = None
    power_w: float | None = None
    temperature_c: float | None = None
    sm_clock_mhz: float | None = None
    memory_used_bytes: int | None = None
    throttle: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One second of a run. Every figure that was not known is None."""

    boot_id: str
    monotonic_s: float
    wall_s: float
    attempt: int | None = None
    stage: str | None = None
    phase: str | None = None
    verdict: str | None = None
    iteration: int | None = None
    loss: float | None = None
    step_s: float | None = None
    progress_age_s: float | None = None
    mem_used_bytes: int | None = None
    mem_available_bytes: int | None = None
    swap_used_bytes: int | None = None
    psi_some_avg10: float | None = None
    rss_bytes: int | None = None
    cpu_s: float | None = None
    cpu_percent: float | None = None
    disk_free_bytes: int | None = None
    log_bytes: int | None = None
    written_bytes: int | None = None
    gpus: tuple[GpuSample, ...] = ()


COLUMNS = tuple(each.name for each in fields(Sample))
"""In the order of the table, after its `id`."""

_TEXT = frozenset({"boot_id", "stage", "phase", "verdict", "gpus"})

CREATE = f"""
CREATE TABLE samples (
  id INTEGER PRIMARY KEY,
  {", ".join(f"{name} {'TEXT' if name in _TEXT else 'NUMERIC'}" for name in COLUMNS)}
);
CREATE INDEX samples_wall ON samples (wall_s);
CREATE TABLE thinned (id INTEGER NOT NULL);
INSERT INTO thinned VALUES (0);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""  # noqa: S608 - constants

INSERT = f"INSERT INTO samples ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - as above


def sample_of(observation: Observation, verdict: Verdict, now: Now) -> Sample:
    """Keep of *observation* and *verdict* what a graph or a summary needs later."""
    beat, process, machine = observation.heartbeat, observation.process, observation.machine
    told = beat or observation.log_progress
    memory = machine.memory if machine else None
    return Sample(
        boot_id=now.boot_id,
        monotonic_s=now.monotonic_s,
        wall_s=now.wall_s,
        attempt=observation.attempt,
        stage=observation.stage,
        phase=told.phase if told else None,
        verdict=verdict.liveness.value,
        iteration=verdict.iteration,
        # A log that is stuck tells the loss of an iteration long past.
        loss=told.loss if told and (beat or verdict.iteration_source == "log") else None,
        step_s=told.step_s if told else None,
        progress_age_s=observation.ages.progress_s,
        mem_used_bytes=memory.used_bytes if memory else None,
        mem_available_bytes=memory.available_bytes if memory else None,
        swap_used_bytes=memory.swap_total_bytes - memory.swap_free_bytes if memory else None,
        psi_some_avg10=memory.psi_some_avg10 if memory else None,
        rss_bytes=process.rss_bytes if process else None,
        cpu_s=process.cpu_s if process else None,
        cpu_percent=machine.cpu_percent if machine else None,
        disk_free_bytes=machine.disk_free_bytes if machine else None,
        log_bytes=observation.log.size_bytes if observation.log else None,
        written_bytes=process.written_bytes if process else None,
        gpus=tuple(_gpu_sample(each) for each in machine.gpus) if machine else (),
    )


def to_row(sample: Sample) -> tuple[Any, ...]:
    """The values of `INSERT`. Integers that SQLite cannot hold become unknown."""
    values = [getattr(sample, name) for name in COLUMNS[:-1]]
    storable = [
        None if isinstance(value, int) and abs(value) > 2**63 - 1 else value for value in values
    ]
    return (*storable, _pack(sample.gpus) if sample.gpus else None)


def from_row(row: Sequence[Any]) -> Sample | None:
    """Rebuild a sample from the columns; None when the row is not one (SQLite holds any type)."""
    values = dict(zip(COLUMNS, row, strict=True))
    packed = values.pop("gpus")
    if not isinstance(values["boot_id"], str):
        return None
    if finite(values["wall_s"]) is None or finite(values["monotonic_s"]) is None:
        return None
    return Sample(**values, gpus=_unpack(packed))


def _gpu_sample(gpu: GpuReading) -> GpuSample:
    return GpuSample(
        index=gpu.index,
        utilisation_percent=gpu.utilisation_percent,
        power_w=gpu.power_w,
        temperature_c=gpu.temperature_c,
        sm_clock_mhz=gpu.sm_clock_mhz,
        memory_used_bytes=gpu.memory_used_bytes,
        throttle=gpu.throttle,
    )


def _pack(gpus: tuple[GpuSample, ...]) -> str:
    rows = [
        [
            gpu.index,
            gpu.utilisation_percent,
            gpu.power_w,
            gpu.temperature_c,
            gpu.sm_clock_mhz,
            gpu.memory_used_bytes,
            list(gpu.throttle),
        ]
        for gpu in gpus
    ]
    return json.dumps(rows, separators=(",", ":"))


def _unpack(packed: object) -> tuple[GpuSample, ...]:
    try:
        rows = json.loads(packed) if isinstance(packed, str) else []
        return tuple(_unpack_one(*row) for row in rows)
    except (ValueError, TypeError, RecursionError):
        return ()


def _unpack_one(
    index: int,
    utilisation: object,
    power: object,
    temperature: object,
    clock: object,
    memory: object,
    throttle: list[str],
) -> GpuSample:
    return GpuSample(
        index=index,
        utilisation_percent=finite(utilisation),
        power_w=finite(power),
        temperature_c=finite(temperature),
        sm_clock_mhz=finite(clock),
        memory_used_bytes=whole(memory),
        throttle=tuple(str(each) for each in throttle),
    )
