"""Events, newest first, with a divider where one last looked, and the chosen one whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tui.event_feed import Happening
from tui.lines import (
    Line,
    Span,
    clean,
    cut_middle,
    cut_words,
    fit,
    heading,
    line,
    pad,
    spread,
    width_of,
    wrap,
)
from tui.presentation import UNKNOWN, clock
from tui.widgets.line_view import LineView

TONES = {"urgent": "bad", "warning": "warn", "info": ""}
TIME_COLUMNS = 12
"""31 May 13:30."""
TODAY_COLUMNS = 5
KIND_COLUMNS = 10
RUN_COLUMNS = 14
NARROW = 66
"""Below this many columns the run's name gives way; the chosen event's is shown below."""


class EventRows(LineView):
    """The selection stays on its event, whatever comes above it."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._happenings: Sequence[Happening] = ()
        self._names: Mapping[str, str] = {}
        self._looked: float | None = None
        self._now = 0.0
        self._row = 0
        self._top = 0
        self._with_run = True
        self.empty_text = ""

    def show(
        self,
        happenings: Sequence[Happening],
        names: Mapping[str, str],
        looked_wall: float | None,
        now_wall: float,
        *,
        with_run: bool,
    ) -> None:
        """Show *happenings*, newest first; those after *looked_wall* stand above the divider."""
        chosen = self.selected
        stays = self._row > 0 and chosen in happenings
        self._happenings, self._names = happenings, names
        self._looked, self._now, self._with_run = looked_wall, now_wall, with_run
        if stays and chosen is not None:
            self._row = list(happenings).index(chosen)
        self.update_lines()

    @property
    def selected(self) -> Happening | None:
        """The event under the cursor."""
        if not self._happenings:
            return None
        return self._happenings[min(self._row, len(self._happenings) - 1)]

    @property
    def new(self) -> int:
        """How many stand above the divider."""
        if self._looked is None:
            return 0
        return sum((each.wall_s or 0.0) > self._looked for each in self._happenings)

    def move(self, rows: int) -> None:
        """Move the cursor by *rows*, held within the list."""
        self._row = min(max(0, self._row + rows), max(0, len(self._happenings) - 1))
        self.update_lines()

    def jump(self, *, to_end: bool) -> None:
        """Move the cursor to the newest or the oldest event."""
        self._row = max(0, len(self._happenings) - 1) if to_end else 0
        self.update_lines()

    def select_row(self, row: int) -> bool:
        """Put the cursor on what is drawn in *row*; False where that is no event."""
        at = self._top + row
        new = self._divided
        if new is not None and at == new:
            return False
        at -= new is not None and at > new
        if not 0 <= at < len(self._happenings):
            return False
        self._row = at
        self.update_lines()
        return True

    def lines(self, width: int, height: int) -> list[Line]:
        if not self._happenings:
            return [line(each, "muted") for each in wrap(self.empty_text, width, height)]
        self._row = min(self._row, len(self._happenings) - 1)
        divided = self._divided
        at = self._row + (divided is not None and self._row >= divided)
        self._top = min(max(self._top, at - height + 1), at)
        # With the first event below the divider, the divider itself is worth its row.
        if divided is not None and self._row == divided and self._top == at and height > 1:
            self._top -= 1
        rows: list[Line] = []
        for number in range(self._top, self._top + height):
            if number == divided:
                rows.append(self._divider(width))
                continue
            index = number - (divided is not None and number > divided)
            if index < len(self._happenings):
                rows.append(self._line(self._happenings[index], width, index == self._row))
        return rows

    @property
    def _time_columns(self) -> int:
        """A time of day is enough while even the oldest event is of today."""
        oldest = next((x.wall_s for x in reversed(self._happenings) if x.wall_s is not None), None)
        return TIME_COLUMNS if len(clock(oldest, self._now)) > TODAY_COLUMNS else TODAY_COLUMNS

    @property
    def _divided(self) -> int | None:
        """The row of the divider among all rows; None where all or none is new."""
        new = self.new
        return new if 0 < new < len(self._happenings) else None

    def _divider(self, width: int) -> Line:
        when = clock(self._looked, self._now)
        return heading(f"you last looked {when}", width, self.glyphs.rule, "seen before")

    def _line(self, each: Happening, width: int, chosen: bool) -> Line:
        tone = TONES[each.severity]
        spans: list[Span] = [
            (self.glyphs.cursor + " " if chosen else "  ", "accent"),
            (pad(clock(each.wall_s, self._now), self._time_columns) + "  ", "muted"),
            (self._sign(each) + " ", tone),
            (pad(clean(each.kind)[:KIND_COLUMNS], KIND_COLUMNS) + " ", tone or "muted"),
        ]
        if self._with_run and width >= NARROW:
            name = cut_middle(clean(self._called(each)), RUN_COLUMNS, self.glyphs.ellipsis)
            spans.append((pad(name, RUN_COLUMNS) + "  ", ""))
        room = width - width_of(tuple(spans))
        spans.append((cut_words(clean(each.text), max(0, room), self.glyphs.ellipsis), tone))
        if chosen:
            return tuple(
                (text, f"cursor {own}" if at == 0 else "cursor")
                for at, (text, own) in enumerate(spans)
            )
        return tuple(spans)

    def _sign(self, each: Happening) -> str:
        verdict = {"urgent": "stalled", "warning": "log-stuck"}.get(each.severity)
        return self.glyphs.verdict(verdict) if verdict else self.glyphs.dot

    def _called(self, each: Happening) -> str:
        return self._names.get(each.run) or each.run


class EventTitle(LineView):
    """Whose events these are, and what is left out of them."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._parts: tuple[Span, ...] = ()

    def show(self, title: str, *notes: Span) -> None:
        """Show *title* and the notes that say anything."""
        self._parts = ((clean(title), "strong"), *((clean(text), tone) for text, tone in notes))
        self.update_lines()

    def lines(self, width: int, height: int) -> list[Line]:
        title, *notes = self._parts or (("", ""),)
        left = ((cut_words(title[0], width, self.glyphs.ellipsis), title[1]),)
        room = max(0, width - len(left[0][0]) - 2)
        return [spread(left, fit(notes, room, gap="  "), width)][:height]


class EventWhole(LineView):
    """The chosen event in full: when, of which run, and all of its text."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._happening: Happening | None = None
        self._now = 0.0

    def show(self, happening: Happening | None, now_wall: float) -> None:
        """Show *happening*."""
        self._happening, self._now = happening, now_wall
        self.update_lines()

    def lines(self, width: int, height: int) -> list[Line]:
        each = self._happening
        if each is None:
            return []
        when = clock(each.wall_s, self._now)
        said = each.severity if each.severity != "info" else ""
        parts = (when if when != UNKNOWN else "", each.kind, said, each.run)
        head = cut_words(
            clean("  ".join(part for part in parts if part)), width, self.glyphs.ellipsis
        )
        tone = TONES[each.severity]
        body = wrap(clean(each.text), width, height - 1, self.glyphs.ellipsis)
        return [line(head, tone or "muted"), *(line(row) for row in body)]
