"""What a run's status says of where it stands; and, by their names, the values of `tui.snapshot`.

Nothing here reads a clock or a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tui.presentation import age

if TYPE_CHECKING:
    from monitor.status_model import EtaView, RunStatus
    from tui.snapshot import Point as Point
    from tui.snapshot import RunDetail as RunDetail
    from tui.snapshot import Snapshot as Snapshot
else:

    def __getattr__(name: str) -> Any:
        """The values, from the first who wants one on: the first paint shows none."""
        if name not in ("Point", "RunDetail", "Snapshot"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from tui import snapshot

        return getattr(snapshot, name)


OVER = frozenset({"finished", "failed", "stopped", "ended"})
"""`monitor.model.FINAL` by its words: the first paint does not wait for that import."""
HALTED = frozenset({"stalled", "suspect", "lost"})
"""No iteration is to be expected, so that the pace of those that came says nothing of the next."""
QUEUED = "queued"
"""`monitor.model.Status.QUEUED`, likewise."""


def is_over(status: RunStatus) -> bool:
    """True once nothing more will happen in this attempt."""
    return status.final or status.verdict in OVER


def is_saving(status: RunStatus) -> bool:
    """A checkpoint is being written: the newest one need not be whole yet."""
    saves = status.phase == "saving" or "saving" in (*status.flags, status.verdict)
    return saves and not is_over(status)


def expected_end(status: RunStatus) -> EtaView | None:
    """When training ends; None where that is not known, or nobody can say whether it gets on."""
    return None if is_over(status) or status.verdict in HALTED else status.eta


def board_order(status: RunStatus) -> tuple[bool, float, str]:
    """Sort key: live before over, then the newest first."""
    return (is_over(status), -(status.created_wall or 0.0), status.run)


def is_being_launched(status: RunStatus) -> bool:
    """True in the moment between a launch and its keeper's first word."""
    return status.status is None and status.verdict == "starting" and status.foreign is None


def silence(status: RunStatus) -> str | None:
    """The sentence for a live run that nobody watches or keeps; None when all is well.

    A watcher writes every second; one that has said nothing for 5 s is taken to be gone.
    """
    if is_over(status):
        return None
    if is_being_launched(status):
        return None
    watcher, begun = status.watcher, status.status != QUEUED
    if not begun and status.keeper.alive:
        return None  # its watcher begins with its first stage
    if not watcher.alive or (watcher.age_s is not None and watcher.age_s >= 5):
        when = f"lost {age(watcher.age_s)} ago" if watcher.age_s is not None else "is not running"
        return f"watcher {when}: lanewatch watch {status.run}"
    if status.keeper.pid is not None and not status.keeper.alive:
        return f"keeper is gone, the training is not: lanewatch watch {status.run}"
    return None
