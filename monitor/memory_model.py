"""What is known and judged about memory, as frozen values. Pure.

`None` means *not known*. Bytes are of the whole machine unless a name says that they are the run's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from monitor.model import ProcessId


class MemoryLevel(StrEnum):
    """How near the machine is to the limit, from calm to reached."""

    OK = "ok"
    WARN = "warn"
    HIGH = "high"
    LIMIT = "limit"

    @property
    def rank(self) -> int:
        """0 for calm; a larger rank is worse."""
        return _ORDER.index(self)


_ORDER = tuple(MemoryLevel)


MOST_SHARE = 0.5


def is_of_others(share: float | None) -> bool:
    """This run is known to explain no more than half of the climb."""
    return share is not None and share <= MOST_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryVerdict:
    """What the judge says of one look."""

    level: MemoryLevel = MemoryLevel.OK
    reason: str = ""
    """One sentence; empty while all is calm."""
    minutes_to_limit: float | None = None
    """None: no climb that can be told from noise."""
    used_bytes: int
    limit_bytes: int
    available_bytes: int | None = None
    gpu_bytes: int | None = None
    """What processes hold on the GPUs; on a unified machine a part of `used_bytes`."""
    cache_bytes: int | None = None
    """Page cache, which is no part of `used_bytes`."""
    unified: bool | None = None
    """The GPU shares the machine's memory; None while no GPU has been read."""
    climb_bytes_s: float | None = None
    """Bytes a second, where a climb can be told from noise."""
    run_bytes: int | None = None
    """What this run holds of it: its own pages, and the GPU's on a unified machine."""
    run_share: float | None = None
    """Of the climb, 0 to 1, the part that this run explains."""
    holder: str | None = None
    """Who else holds most, where this run does not explain the climb."""
    speaks: bool = True
    """This watcher is the one of the machine that tells people of its memory."""

    @property
    def headroom_bytes(self) -> int:
        """What is left to the limit; 0 when it is reached."""
        return max(0, self.limit_bytes - self.used_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a run held at the last look at which its trainer lived."""

    process: ProcessId
    wall_s: float
    used_bytes: int
    """Of the machine, the run's part included."""
    run_bytes: int
    baseline_bytes: int
    """Of the machine before the trainer began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPeaks:
    """The most that a run took, and how suddenly."""

    baseline_bytes: int | None = None
    """What the machine used before the run took its part."""
    used_bytes: int | None = None
    """Used above the baseline, at most."""
    rss_bytes: int | None = None
    gpu_bytes: int | None = None
    """By this run's processes on the GPU."""
    load_jump_bytes: int | None = None
    """Largest rise within two seconds while it loaded or began."""
    jump_bytes: int | None = None
    """The same after its first iteration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryMarks:
    """What one watcher leaves to the next of a run's memory."""

    level: MemoryLevel = MemoryLevel.OK
    reason: str = ""
    peaks: MemoryPeaks = field(default_factory=MemoryPeaks)
    held: Held | None = None
    unified: bool | None = None
