"""When a verdict becomes an event: once it has held. Pure.

`saving` is a part of training and no event; the finished checkpoint is one.
"""

from __future__ import annotations

from monitor.model import Liveness

TROUBLE = frozenset(
    {Liveness.SUSPECT, Liveness.STALLED, Liveness.LOST, Liveness.LOG_STUCK, Liveness.SLOW}
)
LOOKS_OF_TROUBLE = 2
LOOKS_OF_LOST = 3


def looks_needed(liveness: Liveness) -> int:
    """How many looks in a row must give *liveness*; an ending and a recovery count at once."""
    if liveness is Liveness.LOST:
        return LOOKS_OF_LOST
    return LOOKS_OF_TROUBLE if liveness in TROUBLE else 1
