"""Samples of a run as tests record them, and what a telemetry file says that it holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from monitor.probes.clock import Now
from monitor.samples import Sample
from monitor.store import TelemetryStore, read_samples

NOW = Now(boot_id="b", monotonic_s=100.0, wall_s=1_000_000.0)


def sample(second: float, **more: object) -> Sample:
    made = Sample(boot_id="b", monotonic_s=second, wall_s=NOW.wall_s + second)
    return replace(made, iteration=int(second), **more)


def seconds(path: Path) -> list[int | None]:
    read = read_samples(path)
    assert read.problem is None
    return [each.iteration for each in read.value or ()]


def write(path: Path, *samples: Sample) -> None:
    store = TelemetryStore(path, clock=lambda: NOW)
    store.start()
    for each in samples:
        assert store.record(each)
    store.close()
    assert store.problem is None
