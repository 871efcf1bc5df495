"""What a run's memory teaches the next run of its recipe. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.memory_model import MemoryPeaks

PEAK = "memory_peak_bytes"
LOAD_JUMP = "memory_load_jump_bytes"
JUMP = "memory_jump_bytes"


def memory_seeds(peaks: MemoryPeaks | None) -> Mapping[str, float]:
    """The figures of *peaks* that are known, by name."""
    if peaks is None:
        return {}
    known = {
        PEAK: peaks.used_bytes,
        LOAD_JUMP: peaks.load_jump_bytes,
        JUMP: peaks.jump_bytes,
    }
    return {name: float(value) for name, value in known.items() if value is not None}
