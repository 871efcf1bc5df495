"""What one rule of the judge found: a verdict still without its evidence. A pure value."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.limits import Limit
from monitor.model import Liveness


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict and its reason; the judge adds flags, evidence and the iteration."""

    liveness: Liveness
    reason: str
    limit: Limit | None = None
    signature: str | None = None
