"""Text that is selected with the mouse: what of a widget it is, how it looks, how it is copied.

The rule: what is copied is what stood there when it was selected, and marked is only what still
stands there. A screen goes on while a person drags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.actions import SkipAction
from textual.binding import Binding, BindingType

if TYPE_CHECKING:
    from textual.app import App
    from textual.selection import Selection

    Base = App[None]
else:
    Base = object

SELECTING_KEYS: list[BindingType] = [
    # Before the keys of a screen and of Textual: with nothing selected those have their turn.
    Binding("ctrl+c", "copy_selected", show=False, priority=True),
    Binding("escape", "unselect", show=False, priority=True),
    Binding("ctrl+c", "help_quit", show=False),  # Textual's own, which the first one took out
]
LEAST_COLUMNS = 3
"""A mouse that moved by less between down and up was clicked: hands are not that still."""


class Part(NamedTuple):
    """What of a row is selected."""

    first: int
    """Its first character's place in the row."""
    text: str


Parts = Mapping[int, Part]
"""By row."""


def parts_of(selection: Selection, rows: Sequence[str]) -> Parts:
    """What *selection* takes of *rows*."""
    parts: dict[int, Part] = {}
    for y, row in enumerate(rows):
        span = selection.get_span(y)
        if span is not None:
            first, last = span
            parts[y] = Part(first, row[first:] if last < 0 else row[first:last])
    return parts


def text_of(parts: Parts) -> str:
    """What is copied of them; the room behind a row's last word is none of its text."""
    return "\n".join(part.text.rstrip() for part in parts.values())


def marked(segments: Sequence[Segment], part: Part) -> Sequence[Segment]:
    """A row with the selected part of it reversed, if that still stands there."""
    first, last = part.first, part.first + len(part.text)
    if "".join(text for text, _, _ in segments)[first:last] != part.text:
        return segments
    shown: list[Segment] = []
    at = 0
    for text, style, _ in segments:
        left, right = (min(max(0, each - at), len(text)) for each in (first, last))
        shown += [
            Segment(each, worn)
            for each, worn in (
                (text[:left], style),
                (text[left:right], _reversed(style)),
                (text[right:], style),
            )
            if each
        ]
        at += len(text)
    return shown


def is_dragged(selection: Selection | None) -> bool:
    """True where the mouse selected; else it only shook while it clicked."""
    if selection is None:
        return False
    start, end = selection
    return start is None or end is None or start.y != end.y or end.x - start.x >= LEAST_COLUMNS


def size_of(text: str) -> str:
    """How much *text* is, in words."""
    characters = "1 character" if len(text) == 1 else f"{len(text):,} characters"
    lines = text.count("\n") + 1
    return characters if lines == 1 else f"{lines:,} lines ({characters})"


def _reversed(style: Style | None) -> Style:
    style = style or Style.null()
    return style + Style(reverse=not style.reverse)


class Selecting(Base):
    """A mixin of the app, for all of its screens."""

    def action_copy_selected(self) -> None:
        from tui.clipboard import copy

        text = self.screen.get_selected_text() or ""
        if not text.strip():
            raise SkipAction
        self.notify(copy(self, text, size_of(text)), markup=False)

    def action_unselect(self) -> None:
        if not self.screen.selections:
            raise SkipAction
        self.screen.clear_selection()
