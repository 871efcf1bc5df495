"""A widget made of lines of toned text that repaints only the lines that changed.

A subclass says what its lines are; this class compares them with those on the screen. Of a changed
line the columns that differ are sent (see `tui.sheet`). The mouse selects its text, by Textual's
own selection (see `tui.selecting`).
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Spacing
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from tui.glyphs import UNICODE, Glyphs, spelt
from tui.lines import Line, Span, clean
from tui.selecting import Parts, is_dragged, marked, parts_of, text_of
from tui.tones import tone_style

NO_GUTTER = Spacing()


class LineView(Widget):
    """Lines in, pixels out. `glyphs` is set by the screen before the first paint."""

    DEFAULT_CSS = "LineView { height: 1; width: 1fr; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._shown: list[Line] = []
        self._drawn_for = (0, 0)
        """Columns and rows that `_shown` is for."""
        self._tones: dict[str, Style] = {}
        self._painting = False
        self.selected_parts: Parts = {}
        """What of it is selected with the mouse, as it stood there then."""

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
        width, height = self.size
        shown, drawn_for = self._shown, self._drawn_for
        fresh = self._lay_out(width, height)
        if drawn_for != (width, height):
            self.refresh()
            return
        rows = _changed_rows(shown, fresh)
        if rows:
            self.refresh(*(Region(0, first, width, last - first) for first, last in rows))

    def redraw(self) -> None:
        """Draw all of it anew: colours or characters are others now."""
        self._tones.clear()
        self._drawn_for = (0, 0)
        self.update_lines()

    def _lay_out(self, width: int, height: int) -> list[Line]:
        fresh = self.lines(width, height)[:height]
        self._shown = fresh + [()] * (height - len(fresh))
        self._drawn_for = (width, height)
        return self._shown

    def plain(self) -> list[str]:
        """What the widget shows, as text without tones."""
        return ["".join(self._spelt(text) for text, _ in spans) for spans in self._shown]

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if self._drawn_for != (width, height):
            # A layout is painted before anybody is told of it: else an empty frame went ahead.
            self._lay_out(width, height)
        spans = self._shown[y] if y < len(self._shown) else ()
        glyphs = self.glyphs
        segments = [
            Segment(spelt(clean(text), glyphs), self._tone(tone))
            for text, tone in _merged(spans)
            if text
        ]
        if y in self.selected_parts:
            segments = [*marked(segments, self.selected_parts[y])]
        # The style of no tone is kept with the others: to ask the widget walks up the whole tree.
        strip = Strip(segments).adjust_cell_length(width, self._tone(""))
        # Only what the mouse asks of is told its places: they would make each style another one.
        return strip if self._painting else strip.apply_offsets(0, y)

    def render_lines(self, crop: Region) -> list[Strip]:
        self._painting = True
        try:
            if self.styles.gutter != NO_GUTTER:
                return super().render_lines(crop)
            # Textual's own keeps each line, and works out anew what lies around them: here are
            # neither borders nor padding, and a line is asked for when it has changed.
            strips = [self.render_line(y) for y in crop.line_range]
        finally:
            self._painting = False
        for each in self.get_line_filters():
            ground = self.background_colors[1]
            strips = [strip.apply_filter(each, ground) for strip in strips]
        first, last = crop.column_span
        return (
            [strip.crop(first, last) for strip in strips]
            if crop.width < self.size.width
            else strips
        )

    def get_selection(self, selection: Selection) -> tuple[str, str]:
        return text_of(self.selected_parts or parts_of(selection, self.plain())), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self.selected_parts = {} if selection is None else parts_of(selection, self.plain())
        self.refresh()

    async def on_event(self, event: events.Event) -> None:
        """What ends a selection is no click, though Textual makes one of it."""
        if isinstance(event, events.Click) and (selection := self.text_selection) is not None:
            if is_dragged(selection):
                event.stop()
                return
            self.screen.clear_selection()
        await super().on_event(event)

    async def _on_click(self, event: events.Click) -> None:
        # A second click opens what was clicked; Textual's default selects all of it as well.
        event.prevent_default()

    def on_hide(self) -> None:
        if self.selected_parts:
            self.screen.clear_selection()

    def on_resize(self) -> None:
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


def _changed_rows(shown: Sequence[Line], fresh: Sequence[Line]) -> list[tuple[int, int]]:
    """First and last row (exclusive) of what differs, neighbours together."""
    rows: list[tuple[int, int]] = []
    for y, (before, after) in enumerate(zip(shown, fresh, strict=True)):
        if before != after:
            first = rows.pop()[0] if rows and rows[-1][1] == y else y
            rows.append((first, y + 1))
    return rows
