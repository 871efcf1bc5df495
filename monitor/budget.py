"""How much of the machine's memory a run may let it use, and when that will be reached. Pure.

On a machine whose GPU shares the memory, used = total - available; nothing that the GPU driver says
is needed, and a container's own limit does not count what CUDA takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from monitor.middle import median
from monitor.readings import GpuReading

CEILING_BYTES = 110 * (1 << 30)
"""Beyond this a machine with 120 GiB of unified memory was seen to hang without a word."""
SHARE = 0.92
"""Of MemTotal, on smaller machines."""
WINDOW_S = 60.0
LEAST_SAMPLES = 10
LEAST_SPAN_S = 10.0
NOISE_FACTOR = 4.0
"""A climb counts when it is this many times the scatter around its own line."""
LEAST_CLIMB_BYTES = 64 * (1 << 20)
MOST_POINTS = 30
"""Theil-Sen looks at every pair: 435 of them."""
GPU_SHARE = 0.95
"""Of a discrete GPU's own memory: full, it ends a trainer, never the machine."""
SAME_LOW, SAME_HIGH = 0.9, 1.1
"""A GPU whose total lies so near to MemTotal has no memory of its own."""


def memory_limit(total_bytes: int, own_bytes: int | None = None) -> int:
    """The bytes that may be used of *total_bytes*; *own_bytes* is the run's own limit."""
    if own_bytes is not None and own_bytes > 0:
        return own_bytes
    return min(CEILING_BYTES, int(SHARE * total_bytes))


def is_unified(gpus: Sequence[GpuReading], total_bytes: int) -> bool | None:
    """Whether a GPU shares the machine's memory; None while no GPU, or none that tells, is read.

    A GB10 shows it in one of three ways: NVML does not support the question, gives a total of 0, or
    gives the machine's own total.
    """
    told = [_shares(gpu, total_bytes) for gpu in gpus]
    if True in told:
        return True
    return False if False in told else None


def gpu_bytes(gpus: Iterable[GpuReading], pids: frozenset[int] | None = None) -> int | None:
    """What processes hold on the GPUs (those of *pids*); None where the driver tells of none.

    The sum over processes is the only figure that every GPU gives.
    """
    held = [
        used
        for gpu in gpus
        for pid, used in gpu.process_bytes
        if used is not None and (pids is None or pid in pids)
    ]
    return sum(held) if held else None


def _shares(gpu: GpuReading, total_bytes: int) -> bool | None:
    if gpu.shares_memory is not None:
        return gpu.shares_memory
    own = gpu.memory_total_bytes
    return None if own is None else SAME_LOW * total_bytes <= own <= SAME_HIGH * total_bytes


def minutes_to_limit(samples: Sequence[tuple[float, float]], limit_bytes: float) -> float | None:
    """Minutes until the trend of *samples* (seconds, used bytes; oldest first) reaches the limit.

    None when it does not rise, or no more than its noise; 0 when it is reached. Theil-Sen: the
    median of all slopes, which a single jump does not move.
    """
    if not samples:
        return None
    latest_s, used = samples[-1]
    if used >= limit_bytes:
        return 0.0
    window = [each for each in samples if each[0] >= latest_s - WINDOW_S]
    points = window[:: -(-len(window) // MOST_POINTS)]
    span_s = points[-1][0] - points[0][0]
    if len(points) < LEAST_SAMPLES or span_s < LEAST_SPAN_S:
        return None
    slope = climb_of(points)
    return None if slope is None else (limit_bytes - used) / slope / 60


def climb_of(points: Sequence[tuple[float, float]]) -> float | None:
    """Bytes per second that *points* (seconds, bytes) rise; None when no more than their noise."""
    if len(points) < 2:
        return None
    slope, span_s = slope_of(points), points[-1][0] - points[0][0]
    if slope * span_s < max(LEAST_CLIMB_BYTES, NOISE_FACTOR * _scatter(points, slope)):
        return None
    return slope


def slope_of(points: Sequence[tuple[float, float]]) -> float:
    """Bytes per second."""
    slopes = [
        (after[1] - before[1]) / (after[0] - before[0])
        for before, after in combinations(points, 2)
        if after[0] > before[0]
    ]
    return median(slopes) if slopes else 0.0


def _scatter(points: Sequence[tuple[float, float]], slope: float) -> float:
    """The median distance from the line of *slope* through the points."""
    heights = [used - slope * seconds for seconds, used in points]
    middle = median(heights)
    return median(abs(height - middle) for height in heights)
