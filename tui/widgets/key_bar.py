"""The bottom line: the keys that do something now, or a message that matters more."""

from __future__ import annotations

from textual import events
from textual.reactive import reactive

from tui.lines import Line, Span, cut_words, line
from tui.widgets.line_view import LineView

Keys = tuple[tuple[str, str], ...]
"""(key, what it does), the most useful first."""
COMMANDS = "ctrl+p"
MORE = (COMMANDS, "more")
"""Stands at the end where others were left out: the palette has all of them."""
GAP = "  "

NAMES = {
    "?": "question_mark",
    "/": "slash",
    ",": "comma",
    "&": "ampersand",
    "+": "plus",
    "-": "minus",
    "[": "left_square_bracket",
    "]": "right_square_bracket",
    "esc": "escape",
    "1-7": "right_square_bracket",
    "type": "",
}
"""Textual's names of keys that are shown by another; "" for what is no key."""


SHOWN = {name: shown for shown, name in NAMES.items() if len(shown) == 1 or shown == "esc"}


def shown_as(name: str) -> str:
    """A key of Textual's *name* as the screens show it."""
    return SHOWN.get(name, name)


def name_of(shown: str) -> str | None:
    """Textual's name of a key as it is shown; None for what is no key."""
    return NAMES.get(shown, shown) or None


class KeyBar(LineView):
    """Keys that do not fit are left out whole; the commands by name have them."""

    keys: reactive[Keys] = reactive((), repaint=False)
    trouble: reactive[str] = reactive("", repaint=False)
    """Shown instead of the keys: the monitor itself is in difficulty."""

    def watch_keys(self) -> None:
        self.update_lines()

    def watch_trouble(self) -> None:
        self.update_lines()

    def key_at(self, x: int) -> str | None:
        """Textual's name of the key that is drawn at column *x*; of several the one that is there.

        What they do, beside them, is the first of them.
        """
        start, first = 0, ""
        for text, tone in self._shown[0] if self._shown else ():
            end = start + len(text)
            if tone == "strong":
                first = text.split(" ")[0]
            elif text.isspace():
                first = ""
            if start <= x < end:
                before = text[: x - start + 1].count(" ")
                there = text.split(" ")[before] if tone == "strong" else first
                return name_of(there or first)
            start = end
        return None

    def on_click(self, event: events.Click) -> None:
        """A click on a key, or on what it does, is that key."""
        key = self.key_at(event.x) if not self.trouble else None
        if key is not None:
            self.app.simulate_key(key)

    def lines(self, width: int, height: int) -> list[Line]:
        if self.trouble:
            return [line(cut_words(self.trouble, width, self.glyphs.ellipsis), "warn")][:height]
        return [_spans(self._fitting(width))][:height]

    def _fitting(self, width: int) -> Keys:
        """All keys, or those that leave room to say where the others are."""
        if _width(self.keys) <= width:
            return self.keys
        # On top of a screen that asks something there are no commands by name.
        more = (MORE,) if _width((MORE,)) <= width and not self.screen.is_modal else ()
        kept: Keys = ()
        for each in self.keys:
            is_there = bool(more) and each[0] == COMMANDS
            if not is_there and _width((*kept, each, *more)) <= width:
                kept = (*kept, each)
        return (*kept, *more)


def _width(keys: Keys) -> int:
    return sum(len(key) + 1 + len(action) for key, action in keys) + len(GAP) * (len(keys) - 1)


def _spans(keys: Keys) -> Line:
    spans: list[Span] = []
    for key, action in keys:
        spans += [(GAP, ""), (key, "strong")] if spans else [(key, "strong")]
        spans.append((f" {action}", "muted"))
    return tuple(spans)
