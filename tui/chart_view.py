"""How the graphs of a run are looked at: which stretch, which scale, how smooth. Pure."""

from __future__ import annotations

import math
from typing import NamedTuple

WEIGHTS = (0.0, 0.6, 0.9)
"""Of the past in the exponential mean: as it is, smoothed, smoothed much."""
DEEPEST = 6
"""A graph that shows a 64th of the run has few points left."""


class ChartView(NamedTuple):
    """Changed by keys; the same for all graphs but for the logarithmic scale."""

    depth: int = 0
    """0 shows the whole run, each further one half of what the one before shows."""
    back: int = 0
    """Half windows before the newest point; 0 follows it."""
    smoothing: int = 0
    logs: frozenset[str] = frozenset()
    """Titles of the graphs on a logarithmic scale."""

    def zoomed(self, steps: int) -> ChartView:
        """Closer by *steps*; from the whole run on, it follows the newest point."""
        depth = min(DEEPEST, max(0, self.depth + steps))
        # The newest edge stays about where it is.
        back = 0 if depth == 0 else max(0, round(self.back * 2.0 ** (depth - self.depth)))
        return self._replace(depth=depth, back=min(back, _furthest(depth)))

    def panned(self, steps: int) -> ChartView:
        """Earlier by *steps* half windows (later, if negative)."""
        return self._replace(back=min(_furthest(self.depth), max(0, self.back + steps)))

    def smoother(self) -> ChartView:
        """The next strength, and after the last none."""
        return self._replace(smoothing=(self.smoothing + 1) % len(WEIGHTS))

    def toggled_log(self, title: str) -> ChartView:
        """With the other scale for the graph of that title."""
        return self._replace(logs=self.logs ^ {title})

    @property
    def weight(self) -> float:
        """Of the past, for smoothing."""
        return WEIGHTS[self.smoothing]

    def window(self, first: float, newest: float, right: float) -> tuple[float, float]:
        """The edges to show of an axis from *first* to *right* that is known up to *newest*.

        They move by an eighth of the window at a time, so that a graph that is followed closely is
        not drawn anew with every point.
        """
        known = newest - first
        if self.depth == 0 or known <= 0:
            return first, right
        width = known / 2**self.depth
        # Of a power of two: `known` grows all the time, and the window must not with it.
        width = 2.0 ** round(math.log2(width))
        step = width / 8
        end = first + step * math.ceil(known / step) - self.back * width / 2
        end = max(end, first + width)
        return max(first, end - width), end

    def words(self, title: str) -> str:
        """What is not as usual, for the heading of a graph."""
        said = []
        if title in self.logs:
            said.append("log scale")
        if self.smoothing:
            said.append(f"smoothed {self.weight:g}")
        return ", ".join(said)


def _furthest(depth: int) -> int:
    return 0 if depth == 0 else 2 * (2**depth - 1)
