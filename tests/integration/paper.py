"""What stands on a terminal after what was written to it, as far as our screens write."""

from __future__ import annotations

import re

from rich.cells import cell_len

SEQUENCE = re.compile(
    r"\x1b\[(?P<place>[\d;]*)H"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b[^\[\]]"
    r"|(?P<end>\r?\n)"
    r"|(?P<text>[^\x1b\r\n]+)"
)
CUT_OFF = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?)?\Z")
"""A control sequence whose end has not been written yet."""


class Paper:
    """As much of a terminal as a screen needs: places and characters, no colours."""

    def __init__(self, columns: int, rows: int) -> None:
        self.rows = [[" "] * columns for _ in range(rows)]
        self.x = self.y = 0
        self._cut_off = ""

    def write(self, data: str) -> None:
        """Put what is written on the paper; it may come in pieces that end anywhere."""
        data = self._cut_off + data
        cut_off = CUT_OFF.search(data)
        self._cut_off = cut_off.group() if cut_off else ""
        for found in SEQUENCE.finditer(data, 0, len(data) - len(self._cut_off)):
            place, end, text = found.group("place", "end", "text")
            if place is not None:
                row, _, column = place.partition(";")
                self.y, self.x = int(row or 1) - 1, int(column or 1) - 1
            elif end:
                self.y, self.x = self.y + 1, 0
            elif text and self.y < len(self.rows):
                self._put(text)

    def _put(self, text: str) -> None:
        row = self.rows[self.y]
        if cell_len(text) == len(text):  # one cell each, as nearly all of it
            text = text[: max(0, len(row) - self.x)]
            row[self.x : self.x + len(text)] = text
            self.x += len(text)
            return
        for character in text:
            if self.x < len(row):
                row[self.x] = character
                self.x += cell_len(character)

    def text(self) -> list[str]:
        """Its lines, without what is empty at their ends."""
        return ["".join(row).rstrip() for row in self.rows]
