"""Of a changed screen renders the rows that changed, and sends to the terminal the cells that did.

Textual 8.2 renders every widget between the uppermost change and the lowest, crops a partial update
at its right end only, writes every cell after a change of the layout, and gives each run of cells
its whole colours: over SSH most of what a quiet screen costs. This rests on private methods of
Textual's app, screen and compositor and on its classes of updates; tests hold it to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from textual._compositor import ChopsUpdate, Compositor, CompositorUpdate, LayoutUpdate

from tui.sheet import Piece, Sheet

if TYPE_CHECKING:
    from textual import events
    from textual.app import App
    from textual.geometry import Region
    from textual.screen import Screen
    from textual.strip import Strip

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


class NarrowCompositor(Compositor):
    """A screen's compositor; what lies behind a change is rendered only where it shows."""

    _changed: Iterable[Region] = ()

    def render_partial_update(self) -> ChopsUpdate | None:
        self._changed = tuple(self._dirty_regions)
        try:
            return super().render_partial_update()
        finally:
            self._changed = ()

    def _get_renders(
        self, crop: Region | None = None
    ) -> Iterable[tuple[Region, Region, list[Strip]]]:
        return self._narrow_renders() if self._changed else super()._get_renders(crop)

    def _narrow_renders(self) -> Iterator[tuple[Region, Region, list[Strip]]]:
        """(region, its rows that changed, these rows) of each widget, from front to back."""
        left = list(self._changed)
        for widget, (region, clip) in self.visible_widgets.items():
            shown = region.intersection(clip)
            touched = [part for part in left if shown.overlaps(part)]
            if not touched:
                continue
            top = max(shown.y, min(part.y for part in touched))
            bottom = min(shown.bottom, max(part.bottom for part in touched))
            rows = shown.crop_size((shown.width, bottom - top)).at_offset((shown.x, top))
            yield region, rows, widget.render_lines(rows.translate(-region.offset))
            left = [part for part in left if not shown.contains_region(part)]
            if not left:
                return


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
