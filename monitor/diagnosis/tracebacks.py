"""Read the traceback that ended a trainer among the lines of its log. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from monitor.diagnosis.values import Frame

_FILE = re.compile(r'^\s+File "(.*)", line (\d+), in (.*)$')
_BEGINS = "Traceback (most recent call last):"
_FOREIGN = re.compile(r"/(site-packages|dist-packages|lib/python3[^/]*|payload/contract\.py)")


def traceback_of(lines: Sequence[str]) -> tuple[str | None, tuple[Frame, ...]]:
    """The last traceback among *lines*: its last line, and its calls, innermost first."""
    raised: str | None = None
    frames: list[Frame] = []
    inside = False
    for each in lines:
        if each.strip() == _BEGINS:
            raised, frames, inside = None, [], True
        elif inside and (found := _FILE.match(each)) is not None:
            frames.append(Frame(found[3], found[1], int(found[2])))
        elif inside and frames and each and not each[0].isspace():
            raised, inside = each, False
    return raised, tuple(reversed(frames)) if raised is not None else ()


def place_of(frames: Sequence[Frame]) -> Frame | None:
    """The innermost call that is no library's; else the innermost."""
    own = (each for each in frames if not _FOREIGN.search(each.file))
    return next(own, frames[0] if frames else None)
