"""The bottom line: the keys that do something now, or a message that matters more."""

from __future__ import annotations

from textual.reactive import reactive

from tui.lines import Line, Span, cut, line
from tui.widgets.line_view import LineView

Keys = tuple[tuple[str, str], ...]
"""(key, what it does), the most useful first."""


class KeyBar(LineView):
    """Keys that do not fit are left out whole; `?` lists all of them."""

    keys: reactive[Keys] = reactive((), repaint=False)
    trouble: reactive[str] = reactive("", repaint=False)
    """Shown instead of the keys: the monitor itself is in difficulty."""

    def watch_keys(self) -> None:
        self.update_lines()

    def watch_trouble(self) -> None:
        self.update_lines()

    def lines(self, width: int, height: int) -> list[Line]:
        if self.trouble:
            return [line(cut(self.trouble, width, self.glyphs.ellipsis), "warn")][:height]
        spans: list[Span] = []
        used = 0
        for key, action in self.keys:
            needed = len(key) + len(action) + 1 + (2 if spans else 0)
            if used + needed > width:
                continue
            spans += [("  ", ""), (key, "strong")] if spans else [(key, "strong")]
            spans.append((f" {action}", "muted"))
            used += needed
        return [tuple(spans)][:height]
