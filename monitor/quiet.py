"""Quiet hours: when a person wants to be woken only by what cannot wait. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HOURS = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From *begin* to *end*, in minutes of the local day; it may pass midnight."""

    begin: int
    end: int

    def hold(self, minute: int) -> bool:
        """True when *minute* of the day is quiet."""
        if self.begin <= self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end


def parse_quiet(text: str) -> QuietHours:
    """Read "22:00-07:00". Raises ValueError with a sentence."""
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        raise ValueError(f'quiet hours {text!r}: write them as "22:00-07:00"')
    hours = [int(each) for each in found.groups()]
    return QuietHours(hours[0] * 60 + hours[1], hours[2] * 60 + hours[3])
