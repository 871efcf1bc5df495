"""Whether the memory of the run before has come back. Pure.

The rule: a container that has exited has not yet given its memory back; on a machine whose GPU
shares it, the next launch a minute later can end in out of memory. Only what the run before held
is waited for, and only for a while after its end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from monitor.memory_model import Held
from monitor.words import gibibytes

TOLERANCE_BYTES = 512 * (1 << 20)
POLL_S = 2.0
TIMEOUT_S = 180.0
RECENT_S = 600.0
"""A run that ended longer ago is not waited for: what is used now is others'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process that holds memory now."""

    pid: int
    name: str
    rss_bytes: int = 0
    gpu_bytes: int = 0
    container: str | None = None

    @property
    def held_bytes(self) -> int:
        """Both; on a GB10 the two do not overlap."""
        return self.rss_bytes + self.gpu_bytes


def newest_held(found: Iterable[Held], *, boot_id: str, wall_s: float) -> Held | None:
    """The run on this boot that was last seen to hold memory, if that was moments ago."""
    recent = [
        each
        for each in found
        if each.process.boot_id == boot_id
        and 0 <= wall_s - each.wall_s <= RECENT_S
        and each.run_bytes > TOLERANCE_BYTES
    ]
    return max(recent, key=lambda each: each.wall_s, default=None)


def missing_bytes(held: Held, used_bytes: int) -> int:
    """How much of what *held* had is still in use; 0 when all has come back.

    By what is left without the run's own part, or by the machine before the run, whichever asks
    for less: what others have taken since is not waited for.
    """
    without = max(held.used_bytes - held.run_bytes, held.baseline_bytes)
    missing = min(used_bytes - without, held.run_bytes)
    return max(0, missing) if missing > TOLERANCE_BYTES else 0


def refusal(missing: int, waited_s: float, holders: Iterable[Holder]) -> str:
    """Say who holds what did not come back, and what to do."""
    who = ", ".join(_named(each) for each in holders) or "no process of it can be seen"
    return (
        f"{gibibytes(missing)} of the run before did not come back within {waited_s:.0f} s; "
        f"most is held by: {who}. End what is not needed, or go on with --anyway"
    )


def _named(holder: Holder) -> str:
    parts = [f"{gibibytes(holder.rss_bytes)} resident"]
    if holder.gpu_bytes:
        parts.append(f"{gibibytes(holder.gpu_bytes)} on the GPU")
    where = f" in container {holder.container}" if holder.container else ""
    return f"{holder.name} ({holder.pid}{where}: {', '.join(parts)})"
