"""The mouse as a terminal reports it: Textual makes the clicks, which its pilot makes itself."""

from __future__ import annotations

from textual import events
from textual.pilot import Pilot

from tui.widgets.line_view import LineView

Place = tuple[int, int]


async def drag(
    pilot: Pilot[None], view: LineView, start: Place, end: Place, to: LineView | None = None
) -> None:
    """Hold the button down from one place of *view* to another, of itself or of *to*."""
    kinds = (events.MouseDown, events.MouseMove, events.MouseUp)
    ends = ((view, start), (to or view, end), (to or view, end))
    for kind, (over, place) in zip(kinds, ends, strict=True):
        x, y = over.content_region.offset + place
        button = 0 if kind is events.MouseMove else 1
        pilot.app.post_message(
            kind(None, x, y, 0, 0, button, False, False, False, screen_x=x, screen_y=y)
        )
        await pilot.pause()
