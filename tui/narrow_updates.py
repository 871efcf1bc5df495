"""Sends to the terminal of a changed screen the cells that changed, whatever was drawn anew.

Textual 8.2 crops a partial update at its right end only, writes every cell after a change of the
layout, and gives each run of cells its whole colours: over SSH most of what a quiet screen costs.
This rests on a private method of Textual's app and two of its private classes; a test holds it to
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate

from tui.sheet import Piece, Sheet

if TYPE_CHECKING:
    from textual import events
    from textual.app import App
    from textual.screen import Screen

    Base = App[None]
else:
    Base = object


class NarrowUpdate(CompositorUpdate):
    """An update of which only what is not on the terminal yet is written."""

    def __init__(
        self, update: ChopsUpdate | LayoutUpdate, sheet: Sheet, size: tuple[int, int]
    ) -> None:
        self._update, self._sheet, self._size = update, sheet, size

    def render_segments(self, console: Console) -> str:
        """The text and the sequences for the terminal; it is taken to be written."""
        update = self._update
        pieces = _whole(update) if isinstance(update, LayoutUpdate) else _parts(update)
        return self._sheet.write(pieces, self._size, console._color_system)


def _whole(update: LayoutUpdate) -> Iterator[Piece]:
    left = update.region.x
    for y, strips in enumerate(update.strips, update.region.y):
        x = left
        for strip in strips:
            yield Piece(x, y, strip)
            x += strip.cell_length


def _parts(update: ChopsUpdate) -> Iterator[Piece]:
    for y, first, last in update.spans:
        pieces = zip(update.chop_ends[y], update.chops[y].items(), strict=False)
        for end, (x, strip) in pieces:
            left, right = max(x, first), min(end, last)
            if strip is not None and left < right:
                yield Piece(left, y, strip.crop(left - x, right - x))


class NarrowUpdates(Base):
    """A mixin of the app, for all of its screens."""

    sheet: Sheet

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        if isinstance(renderable, ChopsUpdate | LayoutUpdate):
            renderable = NarrowUpdate(renderable, self.sheet, self.size)
        super()._display(screen, renderable)

    def draw_anew(self) -> None:
        """Send the whole screen: others may have written to the terminal, or emptied it."""
        self.sheet.forget()
        self.refresh(layout=True)

    def action_redraw(self) -> None:
        self.draw_anew()

    def on_resize(self, _event: events.Resize) -> None:
        """Also where it has its old size again: what was cut off meanwhile is gone."""
        self.sheet.forget()
        if self._size is not None:
            self.refresh()  # in an app that begins there is no screen yet
