"""Take numbers out of JSON that others wrote: what is not one is unknown, never an error."""

from __future__ import annotations

import json
import math
from typing import Any

INT_LIMIT = 2**63 - 1
"""Largest count believed; SQLite holds no larger one."""


def whole(value: object) -> int | None:
    """A count of 0 or more, or None. A bool is none, though Python calls it an int."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= INT_LIMIT:
        return value
    return None


def finite(value: object) -> float | None:
    """A finite float, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def json_object(line: bytes) -> dict[str, Any] | None:
    """Parse one line of a JSON-lines file; None unless it is an object."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
