"""How long a verdict must hold before anybody is told of it. Pure.

The rule: trouble counts when it was seen on several looks in a row, an ending at once.
"""

from __future__ import annotations

from monitor.model import Liveness

TROUBLE = frozenset(
    {Liveness.SUSPECT, Liveness.STALLED, Liveness.LOST, Liveness.LOG_STUCK, Liveness.SLOW}
)
LOOKS_OF_TROUBLE = 2
LOOKS_OF_LOST = 3


def looks_needed(liveness: Liveness) -> int:
    """On how many looks in a row *liveness* must be the verdict."""
    if liveness is Liveness.LOST:
        return LOOKS_OF_LOST
    return LOOKS_OF_TROUBLE if liveness in TROUBLE else 1
