"""The settings, a line each, under three headings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textual.reactive import reactive

from tui.lines import Line, clean, cut_words, heading, line, pad
from tui.widgets.line_view import LineView

LABEL = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One line that can be chosen."""

    key: str
    group: str
    title: str
    text: str = ""
    tone: str = ""
    chosen: bool = False
    """It is the one in force."""


class SettingsView(LineView):
    """The screen says which settings there are."""

    settings: reactive[tuple[Setting, ...]] = reactive((), repaint=False)
    cursor: reactive[int] = reactive(0, repaint=False)
    told: reactive[Mapping[str, str]] = reactive({}, repaint=False)
    """A line below a group that has none of its own."""

    def watch_settings(self) -> None:
        self.update_lines()

    def watch_cursor(self) -> None:
        self.update_lines()

    def watch_told(self) -> None:
        self.update_lines()

    @property
    def selected(self) -> Setting | None:
        """What is under the cursor."""
        at = min(self.cursor, len(self.settings) - 1)
        return self.settings[at] if self.settings else None

    def setting_at(self, row: int) -> int | None:
        """The number of the setting drawn in *row*."""
        rows = self._window(*self.size)
        return rows[row][0] if 0 <= row < len(rows) else None

    def lines(self, width: int, height: int) -> list[Line]:
        return [each for _, each in self._window(width, height)]

    def _window(self, width: int, height: int) -> list[tuple[int | None, Line]]:
        """The rows around the cursor that there is room for."""
        rows = self._rows(width)
        at = next((n for n, (number, _) in enumerate(rows) if number == self.cursor), 0)
        top = max(0, min(at - height // 2, len(rows) - height))
        return rows[top : top + height]

    def _rows(self, width: int) -> list[tuple[int | None, Line]]:
        rows: list[tuple[int | None, Line]] = []
        groups = list(dict.fromkeys([*(each.group for each in self.settings), *self.told]))
        for group in groups:
            rows.append((None, heading(group, width, self.glyphs.rule)))
            for number, each in enumerate(self.settings):
                if each.group == group:
                    rows.append((number, self._line(each, width, number == self.cursor)))
            if said := self.told.get(group):
                rows.append(
                    (None, line(cut_words(clean(said), width, self.glyphs.ellipsis), "muted"))
                )
            rows.append((None, line()))
        return rows

    def _line(self, setting: Setting, width: int, selected: bool) -> Line:
        mark = self.glyphs.cursor if selected else ""
        chosen = self.glyphs.stages["done"] if setting.chosen else " "
        room = max(1, width - LABEL - 4)
        text = pad(cut_words(clean(setting.text), room, self.glyphs.ellipsis), room)
        spans = [
            (pad(mark, 2), "accent"),
            (f"{chosen} ", "good"),
            (pad(cut_words(clean(setting.title), LABEL - 2, self.glyphs.ellipsis), LABEL), ""),
            (text, setting.tone or "muted"),
        ]
        if selected:
            spans = [(text, f"cursor {tone}".strip()) for text, tone in spans]
        return tuple(spans)
