"""The whole past of a run in some hundred points, averaged where the telemetry is read.

The rule: like every reader it holds no transaction, and a run of days costs it a tenth of a second.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.probes import Read
from monitor.probes.numbers import finite, whole
from monitor.store import fetch_rows

_GPU = (
    "avg(CASE WHEN json_valid(gpus) "
    "THEN json_extract(gpus, '$[' || CAST(:gpu AS INTEGER) || '][{}]') END)"
)
"""Of one GPU; the places are those of `monitor.samples`."""

_TIMED = "FROM samples WHERE typeof(wall_s) IN ('real', 'integer')"
_SPAN = f"SELECT min(wall_s), max(wall_s) {_TIMED}"
# Memory by its peak: a mean would hide the very climb that matters.
_QUERY = (
    "SELECT avg(wall_s), max(mem_used_bytes), "
    f"{_GPU.format(1)}, {_GPU.format(2)}, {_GPU.format(3)}, {_GPU.format(4)}, "
    "avg(cpu_percent), max(iteration), avg(loss) "
    f"{_TIMED} GROUP BY CAST(wall_s / :every AS INTEGER) ORDER BY 1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPoint:
    """One stretch of a run's past. None: not known then."""

    wall_s: float
    memory_bytes: float | None = None
    """The most of the stretch; everything else is its mean."""
    gpu_percent: float | None = None
    power_w: float | None = None
    temperature_c: float | None = None
    clock_mhz: float | None = None
    cpu_percent: float | None = None
    iteration: int | None = None
    loss: float | None = None


def read_history(
    path: Path, most: int, least_s: float, gpu: int = 0
) -> Read[tuple[HistoryPoint, ...]]:
    """At most *most* points, oldest first, each of *least_s* seconds or a multiple of it.

    *gpu* is the place of the one that is drawn, counted as nvidia-smi does.

    The value is always a tuple: empty for a file that is missing, and for one that cannot be used,
    with the problem named.
    """
    try:
        if not path.exists():
            return Read(())
        ((first, last),) = fetch_rows(path, _SPAN, {})
        if finite(first) is None or finite(last) is None:
            return Read(())
        every = least_s * max(1, math.ceil((last - first) / (least_s * max(1, most - 1))))
        rows = fetch_rows(path, _QUERY, {"every": every, "gpu": gpu})
    except (sqlite3.Error, OSError) as error:
        return Read((), f"{path.name} cannot be read: {error}")
    return Read(tuple(point for row in rows if (point := _point(row)) is not None))


def _point(row: Sequence[Any]) -> HistoryPoint | None:
    """None where the row tells no time: SQLite holds values of any type."""
    wall, memory, busy, power, heat, clock, cpu, iteration, loss = row
    wall_s = finite(wall)
    if wall_s is None:
        return None
    return HistoryPoint(
        wall_s=wall_s,
        memory_bytes=finite(memory),
        gpu_percent=finite(busy),
        power_w=finite(power),
        temperature_c=finite(heat),
        clock_mhz=finite(clock),
        cpu_percent=finite(cpu),
        iteration=whole(iteration),
        loss=finite(loss),
    )
