"""The only place where the time is read: judges and stores are handed a `Now`.

Ages are differences of `monotonic_s` within one boot; `wall_s` is for people to read.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cache

from monitor.probes.raw import read_proc

RATE_VARIABLE = "LANEWATCH_CLOCK_RATE"
"""Set in the processes of a drill alone, whose run goes through a night in a minute."""


def _rate() -> float:
    try:
        rate = float(os.environ.get(RATE_VARIABLE, "1"))
    except ValueError:
        return 1.0
    return rate if 0.1 <= rate <= 1000 else 1.0


RATE = _rate()
"""Seconds that are judged per second that passes: 1, but for a drill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """One instant. `monotonic_s` (CLOCK_MONOTONIC) means nothing without its `boot_id`."""

    boot_id: str
    monotonic_s: float
    wall_s: float
    """Seconds since 1970 by the clock on the wall, which may jump."""


@cache
def boot_id() -> str:
    """The kernel's name for this boot; "unknown" where /proc hides it."""
    try:
        return read_proc("/proc/sys/kernel/random/boot_id", 64).decode("ascii", "replace").strip()
    except OSError:
        return "unknown"


def read_now() -> Now:
    """Read both clocks."""
    return Now(boot_id=boot_id(), monotonic_s=time.monotonic() * RATE, wall_s=time.time())
