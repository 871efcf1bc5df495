"""Values to text. Pure: no clock, no files, no widgets; what is not known is an en dash, never 0.

Ages and remaining times are rounded so that a screen on which nothing happens does not repaint
every second: 5 s steps under a minute, minutes under an hour, then hours and minutes.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, tzinfo
from typing import TypeGuard

UNKNOWN = "–"  # noqa: RUF001 - the en dash is what we mean to print

_KIB = 1024
_MINUTE = 60
_HOUR = 3600
_DAY = 86400

_SECONDS_AGO = re.compile(r"\b([0-9]{1,2}) s ago\b")


def duration(seconds: float | None) -> str:
    """A length of time that is over: 1.4s, 42s, 12m 30s, 3h 24m, 2d 3h."""
    if not _known(seconds):
        return UNKNOWN
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return _pair(whole, _MINUTE, "m", 1, "s")
    return _hours(whole)


def age(seconds: float | None) -> str:
    """How long ago, coarsely: <5s, 5s ... 55s, 1m ... 59m, 3h 24m, 2d 3h."""
    if not _known(seconds):
        return UNKNOWN
    if seconds < 5:
        return "<5s"
    if seconds < _MINUTE:
        return f"{int(seconds // 5) * 5}s"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)}m"
    return _hours(int(seconds))


def steady(sentence: str) -> str:
    """*sentence* with its "13 s ago" rounded to 5 s, so that it does not change every second."""
    return _SECONDS_AGO.sub(_rounded, sentence)


def remaining(seconds: float | None) -> str:
    """A forecast, no finer than it is worth: 5 s steps under a minute, 10 s under ten minutes."""
    if not _known(seconds):
        return UNKNOWN
    if seconds < _MINUTE:
        return f"{max(5, math.ceil(seconds / 5) * 5)}s"
    if seconds < 10 * _MINUTE:
        return _pair(math.ceil(seconds / 10) * 10, _MINUTE, "m", 1, "s")
    if seconds < _HOUR:
        return f"{round(seconds / _MINUTE)}m"
    return _hours(int(seconds))


def size(count: float | None) -> str:
    """Bytes in binary units: 512 B, 64 KiB, 3.2 MiB, 61.2 GiB, 812 GiB."""
    if not _known(count):
        return UNKNOWN
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < _KIB or unit == "TiB":
            break
        value /= _KIB
    if unit in ("B", "KiB") or value >= 100:
        return f"{value:.0f} {unit}"
    return f"{value:.1f} {unit}"


def memory_tone(level: str) -> str:
    """The tone of a memory level; none while it is ok."""
    return {"ok": "", "warn": "warn"}.get(level, "bad")


def used_of(used: float | None, limit: float | None) -> str:
    """Two byte counts in the unit of the larger: 61.2/110 GiB."""
    if not _known(used) or not _known(limit):
        return size(used)
    text, unit = size(limit).split(" ")
    scale = _KIB ** ("B", "KiB", "MiB", "GiB", "TiB").index(unit)
    return f"{used / scale:.1f}/{text.removesuffix('.0')} {unit}"


def percent(value: float | None) -> str:
    """0 to 100 as a whole number: 39 %."""
    return f"{value:.0f} %" if _known(value) else UNKNOWN


def part(value: float | None, whole: float | None) -> float | None:
    """The fraction *value* of *whole*, held within 0 and 1; None where that means nothing."""
    if not _known(value) or not _known(whole) or whole <= 0:
        return None
    return min(1.0, max(0.0, value / whole))


def count(value: int | None, total: int | None = None) -> str:
    """241/625; the total is left out when it is not known."""
    if value is None and total is None:
        return UNKNOWN
    shown = UNKNOWN if value is None else str(value)
    return shown if total is None else f"{shown}/{total}"


def pace(seconds: float | None) -> str:
    """Seconds an iteration, three digits: 0.85, 1.42, 32.4, 143."""
    if not _known(seconds):
        return UNKNOWN
    if seconds < 10:
        return f"{seconds:.2f}"
    return f"{seconds:.1f}" if seconds < 100 else f"{seconds:.0f}"


def figure(value: float | None) -> str:
    """A loss or a gradient norm, four digits; not-a-number is said, since it is news."""
    if value is None:
        return UNKNOWN
    if not math.isfinite(value):
        return str(value)
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2e}"
    return f"{value:.4g}"


def rate(value: float | None) -> str:
    """A learning rate: 8.2e-05."""
    return UNKNOWN if value is None else f"{value:.1e}"


def clock(wall_s: float | None, now_wall_s: float | None, zone: tzinfo | None = None) -> str:
    """A time of day, with the date when it is not today; *zone* None is the machine's own."""
    if not _known(wall_s):
        return UNKNOWN
    try:
        then = datetime.fromtimestamp(wall_s, tz=UTC).astimezone(zone)
        today = datetime.fromtimestamp(now_wall_s or wall_s, tz=UTC).astimezone(zone)
    except (OverflowError, OSError, ValueError):
        return UNKNOWN
    if then.date() == today.date():
        return f"{then:%H:%M}"
    return f"{then.day} {then:%b %H:%M}"


def ago(then_wall_s: float | None, now_wall_s: float | None) -> float | None:
    """Seconds between two wall-clock times, for display; a clock set back gives 0, not less."""
    if not _known(then_wall_s) or not _known(now_wall_s):
        return None
    return max(0.0, now_wall_s - then_wall_s)


def _rounded(found: re.Match[str]) -> str:
    seconds = int(found[1]) // 5 * 5
    return f"{seconds} s ago" if seconds else "under 5 s ago"


def _known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _hours(whole: int) -> str:
    if whole < _DAY:
        return _pair(whole, _HOUR, "h", _MINUTE, "m")
    return _pair(whole, _DAY, "d", _HOUR, "h")


def _pair(whole: int, large: int, large_unit: str, small: int, small_unit: str) -> str:
    first, rest = divmod(whole, large)
    second = rest // small
    return f"{first}{large_unit} {second}{small_unit}" if second else f"{first}{large_unit}"
