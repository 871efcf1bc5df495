"""Recipe and provenance: names and values, as the run's own files have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, chop_cells
from textual.reactive import reactive

from tui.lines import Line, clean, pad
from tui.widgets.scrolled_lines import ScrolledLines

if TYPE_CHECKING:
    from tui.provenance import Rows

NAME_WIDTH = 26
NARROW = 60


class RecipeView(ScrolledLines):
    """A value that is too long for its row goes on below: nothing of a hash or a path is lost."""

    TITLE = "recipe and provenance"

    rows: reactive[Rows] = reactive((), repaint=False)

    def watch_rows(self) -> None:
        self.update_lines()

    def all_lines(self, width: int) -> list[Line]:
        if not self.rows:
            return [(("nothing is known of its recipe", "muted"),)]
        shown: list[Line] = []
        for name, value in self.rows:
            if not value:
                shown += [()] * bool(shown)
                shown.append(((clean(name), "strong"),))
                continue
            shown += _entry(clean(name), clean(value), width)
        return shown


def _entry(name: str, value: str, width: int) -> list[Line]:
    left = 2 if width < NARROW else NAME_WIDTH
    parts = _folded(value, max(10, width - left))
    indent = " " * left
    if width < NARROW or cell_len(name) + 3 > left:
        return [(("  ", ""), (name, "muted")), *(((indent, ""), (part, "")) for part in parts)]
    first, *rest = parts
    return [
        ((pad(f"  {name}", left), "muted"), (first, "")),
        *(((indent, ""), (part, "")) for part in rest),
    ]


def _folded(value: str, width: int) -> list[str]:
    """Broken between words where there are some, else anywhere: a path is one word."""
    rows: list[str] = [""]
    for word in value.split(" "):
        candidate = f"{rows[-1]} {word}" if rows[-1] else word
        if cell_len(candidate) <= width:
            rows[-1] = candidate
            continue
        rest = word if rows[-1] else candidate
        if not rows[-1]:
            rows.pop()
        rows += chop_cells(rest, width)
    return rows
