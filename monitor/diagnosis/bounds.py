"""When each part of a diagnosis has to be over, so that all of it takes 15 s at most.

The rule: whatever may wait for somebody else (py-spy, a signal's answer, a file system, an engine)
is given no longer than is left until the end of its part, and is not begun where nothing is left.
All ends count from the beginning of the diagnosis.
"""

from __future__ import annotations

import time

WHOLE_S = 15.0
CHECKPOINTS_END_S = 4.0
"""Until then the file system of the checkpoints may answer."""
SAMPLES_END_S = 9.0
NATIVE_END_S = 12.0
"""Reading symbols takes seconds."""
ASKED_END_S = 12.5
"""A trainer that nobody may look into has answered by then."""
THREADS_END_S = 13.0
WAITS_END_S = 14.0
"""The rest is for what waits for nobody: words, and the file that is written."""


class Bounds:
    """The ends of the parts of one diagnosis, by CLOCK_MONOTONIC."""

    def __init__(self, since_s: float | None = None) -> None:
        self.since_s = time.monotonic() if since_s is None else since_s

    def left(self, end_s: float, most_s: float = WHOLE_S) -> float:
        """Seconds until *end_s* after the beginning, *most_s* at most, 0 where it is past."""
        return max(0.0, min(most_s, self.since_s + end_s - time.monotonic()))

    def over(self, end_s: float) -> bool:
        """Whether nothing is left until *end_s*."""
        return self.left(end_s) <= 0
