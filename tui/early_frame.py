"""The verdict, on the terminal before the screen that it belongs to is loaded.

Over a slow line the few hundred milliseconds until the first frame are what one waits for. This
writes what that frame will say, in the same place; the frame is drawn over it.
"""

from __future__ import annotations

import os
from typing import TextIO

from monitor.early_word import EarlyWord
from tui.glyphs import TONES, Glyphs, spelt
from tui.lines import clean, cut_middle, joined
from tui.verdict_words import least_rows, verdict_label, verdict_rows

ALTERNATE = "\x1b[?1049h"
"""To the terminal's other screen, on which nothing stands. Textual writes the same."""
BACK = "\x1b[?25h\x1b[?1049l"
EDGE = 1
"""Columns that the run's screen leaves free at either side (screens/run.tcss)."""
LEAST_COLUMNS, LEAST_ROWS = 20, 4


class EarlyFrame:
    """What was written before the app; it stands until the app takes the terminal over."""

    def __init__(self, word: EarlyWord, stream: TextIO) -> None:
        self.word = word
        self._stream = stream
        self._stands = False

    @classmethod
    def draw(cls, run: str, word: EarlyWord, glyphs: Glyphs, stream: TextIO) -> EarlyFrame | None:
        """Write *word* to a terminal; None where there is none, or no room."""
        try:
            columns, rows = os.get_terminal_size(stream.fileno())
        except (OSError, ValueError):
            return None
        if word.verdict not in TONES or columns < LEAST_COLUMNS or rows < LEAST_ROWS:
            return None
        frame = cls(word, stream)
        frame._stands = True
        stream.write(frame_text(run, word, columns, rows, glyphs))
        stream.flush()
        return frame

    def take_over(self) -> bool:
        """The app writes from now on: true where the terminal shows its other screen already."""
        stood, self._stands = self._stands, False
        return stood

    def spares(self, data: str) -> bool:
        """True of the way to the other screen where the terminal shows that already.

        Some terminals empty it once more, and what stands there is to be read.
        """
        return data == ALTERNATE and self.take_over()

    def leave(self) -> None:
        """Back to the shell's screen, where no app has taken over."""
        if self.take_over():
            self._stream.write(BACK)
            self._stream.flush()


def frame_text(run: str, word: EarlyWord, columns: int, rows: int, glyphs: Glyphs) -> str:
    """What is sent to a terminal of *columns* by *rows*: the run's name, and below it *word*.

    In bold and in no colour: which one would show is the theme's to say, and that is not loaded.
    """
    width = columns - 2 * EDGE
    label = verdict_label(word.verdict, word.since_wall, word.read_wall, glyphs, over=word.over)
    body = verdict_rows(label, word.reason, width, least_rows(rows), glyphs)
    texts = [cut_middle(run, width, glyphs.ellipsis), *map(joined, body)]
    shown = [spelt(clean(each), glyphs) for each in texts]
    bold = len(spelt(clean(label[0][0]), glyphs))
    placed = [f"\x1b[{y};{EDGE + 1}H{text}" for y, text in enumerate(shown[2:], 3)]
    title = f"\x1b[1;{EDGE + 1}H\x1b[1m{shown[0]}"
    first = f"\x1b[2;{EDGE + 1}H{shown[1][:bold]}\x1b[0m{shown[1][bold:]}"
    return f"{ALTERNATE}\x1b[2J\x1b[?25l{title}{first}{''.join(placed)}"
