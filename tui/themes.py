"""The themes by the names of the configuration: which colours, and which characters.

Colour is a third cue after glyph and word, so every theme says the same; two need no colour at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tui.glyphs import ASCII, Glyphs, choose_glyphs

if TYPE_CHECKING:
    from textual.app import App

THEMES = ("dark", "light", "colour-blind", "mono", "ascii")
ABOUT: Mapping[str, str] = {
    "dark": "light text on a dark ground",
    "light": "dark text on a light ground",
    "colour-blind": "blue, orange, vermilion: for every kind of sight",
    "mono": "no colour at all",
    "ascii": "no colour, no character beyond ASCII",
}
BUILT_IN: Mapping[str, str] = {"dark": "textual-dark", "light": "textual-light"}


def glyphs_of(theme: str, environment: Mapping[str, str]) -> Glyphs:
    """The characters of a theme; what the terminal lacks no theme brings back."""
    return ASCII if theme == "ascii" else choose_glyphs(environment)


def textual_theme(app: App[None], theme: str) -> str:
    """Textual's name of the theme, which is made when it is first asked for."""
    if theme in BUILT_IN:
        return BUILT_IN[theme]
    name = "lanewatch-colour-blind" if theme == "colour-blind" else "lanewatch-mono"
    if name not in app.available_themes:
        _register(app, name)
    return name


def _register(app: App[None], name: str) -> None:
    from textual.theme import Theme

    if name == "lanewatch-colour-blind":
        # Okabe and Ito's palette (2008), lightened where it is text on a dark ground.
        app.register_theme(
            Theme(
                name=name,
                primary="#56B4E9",
                secondary="#0072B2",
                warning="#E69F00",
                error="#D55E00",
                success="#56B4E9",
                accent="#F0E442",
                foreground="#E8E8E8",
                background="#121212",
                surface="#1E1E1E",
                dark=True,
                variables={
                    "text-success": "#8CCBF0",
                    "text-warning": "#F0B840",
                    "text-error": "#FF7F3F",
                    "text-primary": "#F0E442",
                },
            )
        )
        return
    grey = "#C8C8C8"
    app.register_theme(
        Theme(
            name=name,
            primary=grey,
            secondary=grey,
            warning="#FFFFFF",
            error="#FFFFFF",
            success=grey,
            accent=grey,
            foreground="#E0E0E0",
            background="#000000",
            surface="#000000",
            dark=True,
            variables={
                "text-success": "#E0E0E0",
                "text-warning": "#FFFFFF",
                "text-error": "#FFFFFF",
                "text-primary": "#E0E0E0",
                "primary-muted": "#3A3A3A",
            },
        )
    )
