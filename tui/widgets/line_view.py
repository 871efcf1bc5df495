"""A widget made of lines of toned text that repaints only the lines that changed.

A subclass says what its lines are; this class compares them, column by column, with what is
on the screen. Of a changed line the columns that differ are sent (see `tui.narrow_updates`).
"""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.glyphs import UNICODE, Glyphs, spelt
from tui.lines import Line, Span, clean
from tui.tones import tone_style

_ONE_COLUMN = re.compile("[ -~\u2500-\u25ff\u2800-\u28ff·–…]*").fullmatch  # noqa: RUF001
"""Text whose characters are sure to take a column each: what the screens themselves draw with."""

NEAR = 12
"""Columns that are sent again sooner than a place and a colour of its own for what follows them."""


class LineView(Widget):
    """Lines in, pixels out. `glyphs` is set by the screen before the first paint."""

    DEFAULT_CSS = "LineView { height: 1; width: 1fr; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._shown: list[Line] = []
        self._tones: dict[str, Style] = {}

    @property
    def glyphs(self) -> Glyphs:
        """The app's drawing characters; Unicode in an app that has none of its own."""
        return getattr(self.app, "glyphs", UNICODE)

    def lines(self, width: int, height: int) -> list[Line]:
        """The lines to show in *width* columns and at most *height* rows."""
        raise NotImplementedError

    def update_lines(self) -> None:
        """Compute the lines anew and repaint those that differ from what is on the screen."""
        if not self.is_mounted or not self.size:
            return
        width = self.size.width
        fresh = self._fresh()
        shown, self._shown = self._shown, fresh
        if len(shown) != len(fresh):
            self.refresh()
            return
        changed = [y for y, pair in enumerate(zip(shown, fresh, strict=True)) if pair[0] != pair[1]]
        if changed:
            self.refresh(*(part for y in changed for part in _parts(y, shown[y], fresh[y], width)))

    def _fresh(self) -> list[Line]:
        width, height = self.size
        fresh = self.lines(width, height)[:height]
        return fresh + [()] * (height - len(fresh))

    def redraw(self) -> None:
        """Draw all of it anew: colours or characters are others now."""
        self._tones.clear()
        self._shown = []
        self.update_lines()

    def plain(self) -> list[str]:
        """What the widget shows, as text without tones."""
        return ["".join(self._spelt(text) for text, _ in spans) for spans in self._shown]

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if len(self._shown) != height:
            # Laid out before it ran, it was told of no size: it would stay blank until the next.
            self._shown = self._fresh()
        spans = self._shown[y] if y < len(self._shown) else ()
        glyphs = self.glyphs
        segments = [
            Segment(spelt(clean(text), glyphs), self._tone(tone))
            for text, tone in _merged(spans)
            if text
        ]
        # The style of no tone is kept with the others: to ask the widget walks up the whole tree.
        return Strip(segments).adjust_cell_length(width, self._tone(""))

    def on_resize(self) -> None:
        self._shown = []
        self.update_lines()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._tones.clear()

    def _tone(self, name: str) -> Style:
        style = self._tones.get(name)
        if style is None:
            style = self._style_of(name)
            self._tones[name] = style
        return style

    def _spelt(self, text: str) -> str:
        return spelt(clean(text), self.glyphs)

    def _style_of(self, name: str) -> Style:
        """The style of one tone; after the word cursor, on the selected row's ground."""
        tone = name.removeprefix("cursor").strip()
        style = self.rich_style
        for each in (tone, "cursor") if name.startswith("cursor") else (tone,):
            if each:
                ground = self.background_colors[1]
                style += tone_style(each, self.app.theme_variables, ground)
        return style


def _merged(spans: Line) -> list[Span]:
    """Neighbours of one tone as one span: each change of tone costs forty bytes on the wire."""
    merged: list[Span] = []
    for text, tone in spans:
        if merged and merged[-1][1] == tone:
            merged[-1] = (merged[-1][0] + text, tone)
        else:
            merged.append((text, tone))
    return merged


def _parts(y: int, shown: Line, fresh: Line, width: int) -> list[Region]:
    """The parts of row *y* that differ; all of it where a character is not one column wide."""
    before, after = _cells(shown, width), _cells(fresh, width)
    if before is None or after is None:
        return [Region(0, y, width, 1)]
    parts: list[Region] = []
    for x in range(width):
        if before[x] != after[x]:
            near = bool(parts) and x - parts[-1].right <= NEAR
            start = parts.pop().x if near else x
            parts.append(Region(start, y, x + 1 - start, 1))
    return parts


def _cells(line: Line, width: int) -> list[Span] | None:
    """A character with its tone for each of *width* columns."""
    cells: list[Span] = []
    for text, tone in line:
        if not (_ONE_COLUMN(text) or all(cell_len(each) == 1 for each in text)):
            return None
        cells += [(each, tone) for each in text]
    cells += [(" ", "")] * (width - len(cells))
    return cells[:width]
