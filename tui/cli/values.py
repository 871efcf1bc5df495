"""What the values of options may be. argparse puts the option's name before each sentence.

The rule: a value that is refused is quoted, and the sentence says what was wanted instead.
"""

from __future__ import annotations

import argparse
import math

MOST_COUNT = 1_000_000_000
"""Of iterations or lines; a longer number is a slip of the finger."""
MOST_PID = 1 << 22
"""Linux gives out no higher one."""
SLOWEST, FASTEST = 0.05, 3.0
"""The range of a drill's speed."""


def seconds(text: str) -> float:
    """A length of time, 0 allowed."""
    value = _number(text)
    if value is None or value < 0:
        raise _refused(text, "is no number of seconds, 0 or more")
    return value


def pause(text: str) -> float:
    """A time between two looks: never none at all."""
    value = _number(text)
    if value is None or not 0.1 <= value <= 86400:
        raise _refused(text, "is no pause of 0.1 to 86400 seconds")
    return value


def count(text: str) -> int:
    """A number of things, at least one."""
    value = _whole(text)
    if value is None or not 1 <= value <= MOST_COUNT:
        raise _refused(text, "is no whole number of 1 to 1 000 000 000")
    return value


def process_id(text: str) -> int:
    """A pid, of a process that may have ended."""
    value = _whole(text)
    if value is None or not 1 <= value <= MOST_PID:
        raise _refused(text, "is no process id")
    return value


def speed(text: str) -> float:
    """How many times as fast a drill is to go."""
    value = _number(text)
    if value is None or not SLOWEST <= value <= FASTEST:
        raise _refused(text, f"is no number of {SLOWEST:g} to {FASTEST:g}")
    return value


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _whole(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _refused(text: str, why: str) -> argparse.ArgumentTypeError:
    shown = text if len(text) <= 40 else f"{text[:40]}…"
    return argparse.ArgumentTypeError(f"{shown!r} {why}")
