"""The list of a picker: what fits what was typed, one of them under the cursor."""

from __future__ import annotations

from textual.reactive import reactive

from tui.launching.values import Choice
from tui.lines import Line, Span, clean, cut_path, cut_words, line, pad, width_of, wrap
from tui.widgets.line_view import LineView

MARK = 2
AS_NOW = "as now"
"""The note of a choice that is nothing but what stands there."""


class PickList(LineView):
    """A window that scrolls so that the cursor is in it."""

    def __init__(
        self,
        choices: tuple[Choice, ...] = (),
        *,
        free: bool = False,
        busy: bool = False,
        none: str = "Nothing fits.",
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._choices = list(choices)
        self._free, self._busy, self._none = free, busy, none
        self._typed = ""
        self._row = self._top = 0
        self.moved = False
        """True once the person moved the cursor: what comes in later leaves it there."""
        self._held = False
        """The person put the cursor where it is: it stays on that choice, not on its row."""

    problem: reactive[str] = reactive("", repaint=False)
    """Why the search ended early."""

    def watch_problem(self) -> None:
        self.update_lines()

    def add(self, choices: tuple[Choice, ...], *, done: bool) -> None:
        """More was found, it may say more of what is here already; *done*: that was all."""
        held = self.selected if self._held else None
        fresh = {each.value for each in choices}
        self._choices = [each for each in self._choices if each.value not in fresh]
        self._choices += choices
        self._busy = not done
        if held is not None:
            self.select(held.value)
        self.update_lines()

    def narrow(self, typed: str) -> None:
        """Show what holds every word of *typed*."""
        self._typed = typed.strip()
        self._row = 0
        self.moved, self._held = True, False
        self.update_lines()

    @property
    def shown(self) -> list[Choice]:
        """What the typed text leaves, and where that may be taken as it is, the text itself."""
        words = self._typed.casefold().split()
        fitting = [each for each in self._choices if _fits(each, words)]
        exact = any(each.value == self._typed for each in fitting)
        if self._free and self._typed and not exact:
            typed = Choice(value=self._typed, title=self._typed, note="as typed")
            # What only stands there now gives way: who types 400 over 4000 means 400.
            now = [each for each in fitting if each.note == AS_NOW]
            others = [each for each in fitting if each.note != AS_NOW]
            return [*others, typed, *now]
        return fitting

    @property
    def selected(self) -> Choice | None:
        """What is under the cursor."""
        shown = self.shown
        return shown[min(self._row, len(shown) - 1)] if shown else None

    def select(self, value: str) -> None:
        """Put the cursor on the choice with *value*, if it is there."""
        rows = (at for at, each in enumerate(self.shown) if each.value == value)
        self._row = next(rows, self._row)
        self.update_lines()

    def move(self, rows: int) -> None:
        """Move the cursor by *rows*, held within the list."""
        self.moved = self._held = True
        self._row = min(max(0, self._row + rows), max(0, len(self.shown) - 1))
        self.update_lines()

    def select_row(self, row: int) -> bool:
        """Put the cursor on what is drawn in *row*; False where nothing is."""
        if self._top + row >= len(self.shown):
            return False
        self.moved = self._held = True
        self._row = self._top + row
        self.update_lines()
        return True

    def lines(self, width: int, height: int) -> list[Line]:
        shown = self.shown
        if not shown:
            said = "Nothing fits." if self._typed else self._none
            said = self.problem or ("Looking." if self._busy else said)
            tone = "bad" if self.problem else "muted"
            return [line(each, tone) for each in wrap(clean(said), width, height)]
        self._row = min(self._row, len(shown) - 1)
        self._top = min(max(self._top, self._row - height + 1), self._row)
        window = shown[self._top : self._top + height]
        rows = [
            self._line(each, width, selected=at == self._row)
            for at, each in enumerate(window, self._top)
        ]
        if self._busy and len(rows) < height:
            rows.append(line("  looking for more", "muted"))
        if self.problem:  # what was found stays; that it is not all is said
            told = wrap(clean(self.problem), width - MARK, 3, self.glyphs.ellipsis)
            rows = [*rows[: height - len(told)], *(line(f"  {each}", "bad") for each in told)]
        return rows

    def _line(self, choice: Choice, width: int, *, selected: bool) -> Line:
        note = clean(choice.note)
        room = width - MARK - (len(note) + 2 if note else 0)
        if room < 12:
            note, room = "", width - MARK
        mark: Span = (pad(self.glyphs.cursor if selected else "", MARK), "accent")
        shorten = cut_path if choice.value.startswith("/") else cut_words
        title = pad(shorten(clean(choice.title), room, self.glyphs.ellipsis), room)
        spans: list[Span] = [mark, (title, "strong" if selected else "")]
        if note:
            spans += [("  ", ""), (note, choice.tone or "muted")]
        if selected:
            spans = [(text, f"cursor {tone}".strip()) for text, tone in spans]
        rest = width - width_of(tuple(spans))
        return (*spans, (" " * max(0, rest), ""))


class PickDetail(LineView):
    """What there is to say of the choice under the cursor."""

    text: reactive[str] = reactive("", repaint=False)

    def watch_text(self) -> None:
        self.update_lines()

    def lines(self, width: int, height: int) -> list[Line]:
        told = [
            row
            for each in self.text.split("\n")
            for row in wrap(clean(each), width, height - 1, self.glyphs.ellipsis, whole=True)
        ]
        return [line(), *(line(each, "muted") for each in told)][:height]


def _fits(choice: Choice, words: list[str]) -> bool:
    said = f"{choice.title} {choice.note} {choice.value}".casefold()
    return all(word in said for word in words)
