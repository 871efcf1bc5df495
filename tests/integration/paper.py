"""What stands on a terminal after what was written to it, as far as our screens write."""

from __future__ import annotations

import re

from rich.cells import cell_len

SEQUENCE = re.compile(
    r"\x1b\[(\d+);(\d+)H|\x1b\][^\x07]*\x07|\x1b\[[0-?]*[ -/]*[@-~]|(\r?\n)|([^\x1b\r\n])"
)


class Paper:
    """As much of a terminal as a screen needs: places and characters, no colours."""

    def __init__(self, columns: int, rows: int) -> None:
        self.rows = [[" "] * columns for _ in range(rows)]
        self.x = self.y = 0

    def write(self, data: str) -> None:
        """Put what is written on the paper."""
        for found in SEQUENCE.finditer(data):
            row, column, line_end, character = found.groups()
            if row:
                self.y, self.x = int(row) - 1, int(column) - 1
            elif line_end:
                self.y, self.x = self.y + 1, 0
            elif character and self.y < len(self.rows) and self.x < len(self.rows[0]):
                self.rows[self.y][self.x] = character
                self.x += cell_len(character)

    def text(self) -> list[str]:
        """Its lines, without what is empty at their ends."""
        return ["".join(row).rstrip() for row in self.rows]
