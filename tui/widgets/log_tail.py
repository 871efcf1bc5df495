"""The last lines of a log: followed, scrolled back, searched. Foreign text, never markup.

Following turns pages: when the newest line would leave the view, the view moves on by a third of
its rows and then fills again. One line more costs one line on the wire, not a screenful. While
text of it is selected with the mouse the view stays.
"""

from __future__ import annotations

from textual.reactive import reactive
from textual.selection import Selection

from tui.lines import Line, clean, cut, cut_words, heading, toned
from tui.log_marks import Marks
from tui.log_text import TONES, level_of
from tui.widgets.line_view import LineView


class LogTail(LineView):
    """Lines are numbered from the log's first one seen, so that a held view stays on its lines."""

    title: reactive[str] = reactive("log", repaint=False)
    pattern: reactive[str] = reactive("", repaint=False)
    empty_text: reactive[str] = reactive("nothing yet", repaint=False)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.follow = True
        self._text: tuple[str, ...] = ()
        self._first = 0
        self._top = 0
        self._match: int | None = None
        self._marks = Marks("")

    def show(self, title: str, text: tuple[str, ...], first: int) -> None:
        """Show *text*, whose first line has the number *first*."""
        if title != self.title:
            self.follow = True
            self._top = first + max(0, len(text) - self._room)
        self.set_reactive(LogTail.title, title)
        self._text, self._first = text, first
        self._marks.look(text, first)
        self.update_lines()

    def watch_pattern(self) -> None:
        self._match, self._marks = None, Marks(self.pattern)
        self._marks.look(self._text, self._first)
        self.update_lines()

    def watch_empty_text(self) -> None:
        self.update_lines()

    def on_resize(self) -> None:
        if self.follow:
            self._top = self._end
        super().on_resize()

    @property
    def matches(self) -> list[int]:
        """Numbers of the lines that the pattern matches."""
        return self._marks.lines

    def scroll_lines(self, rows: int) -> None:
        """Move by *rows*; reaching the end follows again."""
        self._move_to(min(self._top, self._end) + rows)

    def jump(self, *, to_end: bool) -> None:
        """Go to the first line, or to the last one and follow."""
        self._move_to(self._end if to_end else self._first)

    def scroll_pages(self, pages: int) -> None:
        """Move by *pages*, one row less than fits each."""
        self.scroll_lines(pages * max(1, self.size.height - 2))

    def next_match(self, *, newer: bool = False) -> bool:
        """Show the next match, from the newest line backwards and round; False if there is none.

        With *newer*, the other way.
        """
        matches = self.matches
        if not matches:
            return False
        current = self._first + len(self._text) if self._match is None else self._match
        if newer:
            self._match = min((at for at in matches if at > current), default=matches[0])
        else:
            self._match = max((at for at in matches if at < current), default=matches[-1])
        self._move_to(self._match - self._room // 2)
        return True

    def lines(self, width: int, height: int) -> list[Line]:
        room = max(0, height - 1)
        if self.follow and not self.selected_parts:
            self._turn_page(room)
        start = max(0, min(self._top, self._end if not self.follow else self._top) - self._first)
        shown = [
            self._row(at, text, width)
            for at, text in enumerate(self._text[start : start + room], self._first + start)
        ]
        if not self._text and room:
            shown = [((cut_words(self.empty_text, width, self.glyphs.ellipsis), "muted"),)]
        room = width - len(self.title) - len("   -- ")
        note = cut_words(self._note(), room, self.glyphs.ellipsis)
        return [heading(self.title, width, self.glyphs.rule, note), *shown]

    @property
    def _room(self) -> int:
        return max(1, self.size.height - 1)

    @property
    def _end(self) -> int:
        """The top line of a view that is full and shows the newest line."""
        return self._first + max(0, len(self._text) - self._room)

    def _turn_page(self, room: int) -> None:
        newest = self._first + len(self._text)
        if self._top < self._first and newest - self._first <= room:
            self._top = self._first
        elif newest - self._top > room:
            # The first page, and whatever came in a burst, is shown full.
            burst = newest - self._top > room + room // 3
            self._top = self._end if burst else self._end + room // 3

    def _move_to(self, top: int) -> None:
        self._top = min(max(self._first, top), self._end)
        self.follow = self._top >= self._end
        self.update_lines()

    def selection_updated(self, selection: Selection | None) -> None:
        super().selection_updated(selection)
        self.update_lines()

    def _note(self) -> str:
        if self.selected_parts and self.follow:
            newer = self._first + len(self._text) - max(self._top, self._first) - self._room
            return f"{newer} below, esc: follow" if newer > 0 else ""
        if self._marks.trouble:
            return self._marks.trouble
        if self.pattern:
            matches = self.matches
            if not matches:
                return f"no match for {self.pattern}"
            place = f"{matches.index(self._match) + 1} of " if self._match in matches else ""
            many = "match" if len(matches) == 1 else "matches"
            return f"{place}{len(matches)} {many}, n: next"
        below = self._end - self._top
        return "" if self.follow or below <= 0 else f"{below} below, G: follow"

    def _row(self, at: int, text: str, width: int) -> Line:
        shown = cut(clean(text), width, self.glyphs.ellipsis)
        # No word of its own for INFO, as the log's screen has: each tone costs bytes at every line.
        tone = TONES.get(level_of(text), "") or ("strong" if at == self._match else "")
        if not self.pattern:
            return ((shown, tone),)
        return toned(shown, tone, (self._marks.spans(at), "match"))
