"""Every signal, its age, what it says and which verdict it supports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.reactive import reactive

from tui.glyphs import TONES
from tui.lines import Line, clean, cut_words, heading, pad
from tui.presentation import age
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from monitor.model import Evidence

SIGNAL_WIDTH = 12
AGE_WIDTH = 7
SUPPORTS_WIDTH = 11
BROAD_WIDTH = 42
BROAD = 100
NARROW = 44
"""Below this the column of what a signal supports gives way to what it says."""


class EvidenceTable(LineView):
    """A heading and a row a signal; rows that do not fit are counted in the heading."""

    evidence: reactive[tuple[Evidence, ...]] = reactive((), repaint=False)
    problems: reactive[tuple[str, ...]] = reactive((), repaint=False)
    over: reactive[bool] = reactive(default=False, repaint=False)
    """The run has ended: nothing is looked at any more."""

    def watch_over(self) -> None:
        self.update_lines()

    def watch_evidence(self) -> None:
        self.update_lines()

    def watch_problems(self) -> None:
        self.update_lines()

    @staticmethod
    def rows(evidence: Sequence[Evidence], problems: Sequence[str]) -> int:
        """Rows that show everything, heading included."""
        return 1 + max(1, len(evidence) + len(problems))

    def lines(self, width: int, height: int) -> list[Line]:
        rows = [self._row(each, width) for each in self.evidence]
        rows += [
            ((cut_words(f"unreadable: {each}", width, self.glyphs.ellipsis), "warn"),)
            for each in self.problems
        ]
        if not rows:
            said = "it is over: no signal is read any more"
            rows = [((said if self.over else "no signal has been seen yet", "muted"),)]
        hidden = len(rows) - (height - 1)
        note = f"{hidden} more" if hidden > 0 else ""
        return [heading("evidence", width, self.glyphs.rule, note), *rows]

    def _row(self, evidence: Evidence, width: int) -> Line:
        ellipsis = self.glyphs.ellipsis
        supports = 0 if width < NARROW else SUPPORTS_WIDTH if width < BROAD else BROAD_WIDTH
        if not evidence.supports:
            supports = 0  # what it has to say takes that room
        detail = max(0, width - SIGNAL_WIDTH - AGE_WIDTH - supports - 2)
        when = age(evidence.age_s)
        shown = cut_words(clean(evidence.detail), detail, ellipsis)
        return (
            (pad(cut_words(clean(evidence.signal), SIGNAL_WIDTH - 1, ellipsis), SIGNAL_WIDTH), ""),
            (pad(when, AGE_WIDTH - 2, right=True) + "  ", ""),
            (shown, ""),
            (" " * (detail + 2 - cell_len(shown)), ""),
            (
                cut_words(_short(evidence.supports, supports), supports, ellipsis),
                _tone(evidence.supports),
            ),
        )


def _short(supports: str, width: int) -> str:
    """Without what follows the first comma, where all of it does not fit."""
    return supports if len(supports) <= width else supports.partition(",")[0]


def _tone(supports: str) -> str:
    return TONES.get(supports, "muted")
