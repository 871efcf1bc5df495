"""What a launch would meet: memory band, projected end, the doctor's lines as they come in."""

from __future__ import annotations

from textual.reactive import reactive

from tui.launching.values import CheckLine, Looked
from tui.lines import Line, clean, heading, pad, wrap
from tui.widgets.scrolled_lines import Scrolled

TONES = {"ok": "good", "warn": "warn", "fail": "bad"}
WORDS = {"ok": "ok", "warn": "WARN", "fail": "FAIL"}
BANDS = {"safe": "good", "tight": "warn", "refuse": "bad"}
NAME = 19
ROWS = 4
"""How much of a check is shown that is not well; what is well takes a line if room is short."""


class LaunchChecks(Scrolled):
    """The worst first; what has no room is counted."""

    MORE = "pagedown"

    looked: reactive[Looked] = reactive(Looked(), repaint=False)

    def watch_looked(self, before: Looked, looked: Looked) -> None:
        if not looked.checks or not before.looking:  # another launch is looked at
            self._top = 0
        self.update_lines()

    def all_lines(self, width: int) -> list[Line]:
        rows = self._all(width, roomy=True)
        return rows if len(rows) <= self.size.height else self._all(width, roomy=False)

    def _all(self, width: int, *, roomy: bool) -> list[Line]:
        looked = self.looked
        note = f"looking at: {looked.looking}" if looked.looking else ""
        rows = [heading("before the launch", width, self.glyphs.rule, note)]
        rows += self._memory(width, ROWS if roomy else 2)
        if looked.projected:
            rows += _labelled("projected", "accent", looked.projected, width, 2)
        for each in looked.checks:
            if each.name != "memory":
                rows += self._check(each, width, 2 if roomy else 1)
        return rows

    def _memory(self, width: int, rows: int) -> list[Line]:
        memory = clean(self.looked.memory)
        if not memory:
            return []
        band = next((each for each in BANDS if memory.startswith(each)), "")
        return _labelled("memory", BANDS.get(band, "warn"), memory, width, rows)

    def _check(self, check: CheckLine, width: int, well: int) -> list[Line]:
        text, rows = clean(check.text), well if check.level == "ok" else ROWS
        label = f"{WORDS[check.level]:<5}{check.name}"
        return _labelled(label, TONES[check.level], text, width, rows)


def _labelled(label: str, tone: str, text: str, width: int, rows: int) -> list[Line]:
    start = pad(label, NAME + 5) + " "
    wrapped = wrap(text, max(12, width - len(start)), rows)
    return [
        ((start if at == 0 else " " * len(start), tone), (each, ""))
        for at, each in enumerate(wrapped or [""])
    ]
