"""The colours of the tones, from the theme's variables.

Not by component classes of Textual's style sheets: those cost a pass over the style sheet for each
tone of each widget, which was half of what the first paint took beyond an empty app.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.style import Style

if TYPE_CHECKING:
    from textual.color import Color

FOREGROUND: Mapping[str, str] = {
    "muted": "text-muted",
    "rule": "surface-lighten-2",
    "good": "text-success",
    "warn": "text-warning",
    "bad": "text-error",
    "accent": "text-primary",
    "match": "background",
}
"""The theme's variable for each tone that has a colour of its own."""

BACKGROUND: Mapping[str, str] = {"match": "warning", "cursor": "primary-muted"}
BOLD = frozenset({"strong", "warn", "bad", "cursor"})


def tone_style(tone: str, variables: Mapping[str, str], ground: Color) -> Style:
    """What *tone* adds to a widget's own style on the background *ground*."""
    front, back = FOREGROUND.get(tone), BACKGROUND.get(tone)
    return Style(
        color=None if front is None else _colour(variables[front], ground).rich_color,
        bgcolor=None if back is None else _colour(variables[back], ground).rich_color,
        bold=True if tone in BOLD else None,
        reverse=True if tone == "cursor" and variables.get("cursor-reverse") else None,
    )


def _colour(value: str, ground: Color) -> Color:
    """A colour of the theme; "auto 60%" is what can be read on the background, so strong."""
    from textual.color import Color

    if value.startswith("auto"):
        strength = float(value.removeprefix("auto").strip().removesuffix("%") or 100) / 100
        return ground + ground.get_contrast_text(strength)
    return ground + Color.parse(value)
