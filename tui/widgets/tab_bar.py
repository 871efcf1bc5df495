"""The tabs of a run's screen: each by its number, the open one by name at any width."""

from __future__ import annotations

from textual.reactive import reactive

from tui.lines import Line, Span
from tui.widgets.line_view import LineView


class TabBar(LineView):
    """One row. Where not all names fit, the others are their numbers."""

    ALLOW_SELECT = False  # between a verdict and its evidence it is no text that one wants

    active: reactive[int] = reactive(0, repaint=False)
    """Index of the open tab."""

    def __init__(self, names: tuple[str, ...], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._names = names

    def watch_active(self) -> None:
        self.update_lines()

    def at(self, x: int) -> int | None:
        """Index of the tab in column *x*; None beside them."""
        left = 0
        for index, label in enumerate(self._labels(self.size.width)):
            if left <= x < left + len(label):
                return index
            left += len(label) + 2
        return None

    def lines(self, width: int, height: int) -> list[Line]:
        spans: list[Span] = []
        for index, label in enumerate(self._labels(width)):
            if spans:
                spans.append(("  ", ""))
            spans.append((label, "cursor strong" if index == self.active else "muted"))
        return [tuple(spans)][:height]

    def _labels(self, width: int) -> list[str]:
        full = [f"{number} {name}" for number, name in enumerate(self._names, 1)]
        if sum(map(len, full)) + 2 * (len(full) - 1) <= width:
            return full
        return [
            label if index == self.active else f"{index + 1}" for index, label in enumerate(full)
        ]
