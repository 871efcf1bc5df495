"""Sends to the terminal of a changed line what changed, not all that stands left of it.

Textual 8.2 crops a partial update at its right end only: a digit at the end of the memory bar takes
the whole bar with it, over SSH most of what a quiet screen costs. This rests on two private classes
of Textual; a test holds it to them.
"""

from __future__ import annotations

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor


class NarrowUpdate(ChopsUpdate):
    """A partial update that is cropped at both ends."""

    def render_segments(self, console: Console) -> str:
        """The text and the sequences for the terminal."""
        written: list[str] = []
        for y, first, last in self.spans:
            pieces = zip(self.chop_ends[y], self.chops[y].items(), strict=False)
            for end, (x, strip) in pieces:
                left, right = max(x, first), min(end, last)
                if strip is None or left >= right:
                    continue
                written.append(Control.move_to(left, y).segment.text)
                written.append(strip.crop(left - x, right - x).render(console))
        return "".join(written)


class NarrowCompositor(Compositor):
    """A compositor whose partial updates are narrow."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """What has changed since the last call, None where nothing has."""
        update = super().render_partial_update()
        if update is None:
            return None
        return NarrowUpdate(update.chops, update.spans, update.chop_ends)
