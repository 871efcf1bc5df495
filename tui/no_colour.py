"""NO_COLOR, taken at its word: not a colour is sent, not a grey either; the terminal's own stay.

What colours said beside glyph and word is said by attributes: what stands out in front of another
ground is reversed, what is pale is dim.
"""

from __future__ import annotations

from functools import lru_cache

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

STANDS_OUT = 0.35
"""Difference in brightness, of 1, between two grounds: a match against the page."""
PALE = 0.45
"""Difference in brightness between a text and its ground: rules, what is muted at its palest."""


class NoColour(LineFilter):
    """In the place of Textual's filter, which turns colours into greys."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        ground = background.brightness
        return [
            Segment(text, None if style is None else plain(style, ground), control)
            for text, style, control in segments
        ]


@lru_cache(1024)
def plain(style: Style, ground: float) -> Style:
    """*style* without its colours, on a page whose brightness is *ground*."""
    back = ground if style.bgcolor is None else _brightness(style.bgcolor)
    front = None if style.color is None else _brightness(style.color)
    stands_out = abs(back - ground) > STANDS_OUT
    pale = front is not None and not stands_out and abs(front - back) < PALE
    return style.without_color + Style(
        reverse=True if stands_out and not style.reverse else None, dim=True if pale else None
    )


def _brightness(colour: RichColor) -> float:
    return Color.from_rich_color(colour).brightness
