"""What a launch would meet: memory band, projected end, the doctor's lines as they come in."""

from __future__ import annotations

from textual.reactive import reactive

from tui.launching.values import CheckLine, Looked
from tui.lines import Line, clean, heading, line, pad, wrap
from tui.widgets.scrolled_lines import Scrolled

TONES = {"ok": "good", "warn": "warn", "fail": "bad"}
WORDS = {"ok": "ok", "warn": "WARN", "fail": "FAIL"}
BANDS = {"safe": "good", "tight": "warn", "refuse": "bad"}
NAME = 19
STATE = 7
"""Columns of a check's glyph and word."""
WHOLE = 20
"""Rows of what is not well: it is shown to its end. What is well takes a line if room is short."""
NARROW = 54
"""Below this many columns a name has no column of its own."""


class LaunchChecks(Scrolled):
    """The worst first; what has no room is counted."""

    MORE = "pagedown"

    looked: reactive[Looked] = reactive(Looked(), repaint=False)

    def watch_looked(self, before: Looked, looked: Looked) -> None:
        if not looked.checks or not before.looking:  # another launch is looked at
            self._top = 0
        self.update_lines()

    def all_lines(self, width: int) -> list[Line]:
        return next(
            (
                rows
                for most in (WHOLE, 2)
                if len(rows := self._all(width, most)) <= self.size.height
            ),
            self._all(width),
        )

    def _all(self, width: int, well: int = 1) -> list[Line]:
        """All there is to say; what is well takes at most *well* rows each."""
        looked = self.looked
        note = f"looking at: {looked.looking}" if looked.looking else ""
        rows = [heading("before the launch", width, self.glyphs.rule, note)]
        rows += self._memory(width, well if well == WHOLE else 2 * well)
        if looked.projected:
            rows += _labelled("projected", "accent", looked.projected, width, well + 1)
        for each in looked.checks:
            if each.name != "memory":
                rows += self._check(each, width, well)
        return rows

    def _memory(self, width: int, rows: int) -> list[Line]:
        memory = clean(self.looked.memory)
        if not memory:
            return []
        band = next((each for each in BANDS if memory.startswith(each)), "")
        rows = rows if band == "safe" else WHOLE
        memory = f"{self.glyphs.level(band)} {memory}" if band else memory
        return _labelled("memory", BANDS.get(band, "warn"), memory, width, rows)

    def _check(self, check: CheckLine, width: int, well: int) -> list[Line]:
        text, rows = clean(check.text), well if check.level == "ok" else WHOLE
        label = f"{self.glyphs.level(check.level)} {WORDS[check.level]:<5}{check.name}"
        return _labelled(label, TONES[check.level], text, width, rows)


def _labelled(label: str, tone: str, text: str, width: int, rows: int) -> list[Line]:
    if width < NARROW:
        label = " ".join(label.split())
        first, *others = wrap(f"{label}: {text}", width - 1, rows, whole=True) or [label]
        head = first[: len(label)]
        return [((head, tone), (first[len(head) :], "")), *(line(f" {each}") for each in others)]
    start = pad(label, NAME + STATE) + " "
    wrapped = wrap(text, max(12, width - len(start)), rows, whole=True)
    return [
        ((start if at == 0 else " " * len(start), tone), (each, ""))
        for at, each in enumerate(wrapped or [""])
    ]
