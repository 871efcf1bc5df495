"""Durations, sizes and counts as people say them in a sentence. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime


def duration(seconds: float) -> str:
    """Say *seconds* to the precision that matters: "4 s", "12 min", "2 h 05 min", "3 d 4 h"."""
    whole = max(0, round(seconds))
    if whole < 100:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def moment(wall_s: float) -> str:
    """Say a time of the clock on the wall: "2026-03-01 02:14 UTC", the same everywhere."""
    try:
        return datetime.fromtimestamp(wall_s, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "at a time that is not one"


def gibibytes(count: float) -> str:
    """Say *count* bytes in GiB, small ones in MiB or KiB."""
    if count < 1 << 20:
        return f"{count / 1024:.0f} KiB" if count >= 1024 else f"{count:.0f} B"
    if count < 1 << 30:
        return f"{count / (1 << 20):.0f} MiB"
    return f"{count / (1 << 30):.1f} GiB"


def counted(done: int, total: int | None, unit: str) -> str:
    """How far a stage is: "3 of 9 tensors"; bytes as people read them: "912 MiB of 70.0 GiB"."""
    if unit != "bytes":
        return f"{done}{f' of {total}' if total is not None else ''} {unit}"
    return gibibytes(done) + (f" of {gibibytes(total)}" if total is not None else "")


def iterations(done: int | None, total: int | None) -> str:
    """Say how far: "iteration 116 of 625"; what is not known is left out."""
    if done is None:
        return "no iteration yet"
    return f"iteration {done} of {total}" if total else f"iteration {done}"


def names_iteration(sentence: str, iteration: int) -> bool:
    """True when *sentence* says that very iteration already."""
    return re.search(rf"\biteration {iteration}\b", sentence) is not None
