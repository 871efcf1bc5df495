"""A run's memory as `status --json` says it: the judge's word, and the peaks of the watch. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.memory_model import MemoryPeaks, MemoryVerdict
from monitor.status_model import MemoryView, PeaksView
from monitor.watch_state import WatchState

GUARD = "memory-guard"
"""Key of the memory guard in watch.json's `parts`."""


def memory_view(
    memory: MemoryVerdict | None, state: WatchState | None, rss_bytes: int | None
) -> MemoryView | None:
    """Put both together; None where the machine's memory is not known."""
    if memory is None:
        return None
    peaks = state.memory.peaks if state and state.memory else MemoryPeaks()
    return MemoryView(
        used_bytes=memory.used_bytes,
        limit_bytes=memory.limit_bytes,
        minutes_to_limit=memory.minutes_to_limit,
        peak_bytes=state.used_peak_bytes if state else None,
        process_bytes=rss_bytes,
        process_peak_bytes=state.rss_peak_bytes if state else None,
        level=str(memory.level),
        reason=memory.reason,
        headroom_bytes=memory.headroom_bytes,
        available_bytes=memory.available_bytes,
        gpu_bytes=memory.gpu_bytes,
        cache_bytes=memory.cache_bytes,
        unified=memory.unified,
        run_peak_bytes=peaks.used_bytes,
        gpu_peak_bytes=peaks.gpu_bytes,
        run_share=memory.run_share,
        guard=guard_said(state.parts) if state else None,
    )


def peaks_view(state: WatchState | None) -> PeaksView | None:
    """The peaks that the watcher saw, of a run without a summary; None where it saw none."""
    if state is None:
        return None
    peaks = state.memory.peaks if state.memory else MemoryPeaks()
    view = PeaksView(
        machine_bytes=state.used_peak_bytes,
        process_bytes=state.rss_peak_bytes,
        run_bytes=peaks.used_bytes,
        gpu_bytes=peaks.gpu_bytes,
    )
    return None if view == PeaksView() else view


def guard_said(parts: Mapping[str, object]) -> str | None:
    """What the guard last did; None when it did nothing."""
    memory = parts.get(GUARD)
    said = memory.get("said") if isinstance(memory, dict) else None
    return said if isinstance(said, str) and said else None
