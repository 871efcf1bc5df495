"""The rows of a log that fill a screen, with its levels coloured and what was searched marked."""

from __future__ import annotations

from textual.message import Message
from textual.reactive import reactive
from textual.selection import Selection

from tui.lines import Line, Span, cut, cut_middle, cut_words, fit, line, spread, toned, width_of
from tui.log_pager import LogPage
from tui.log_text import TONES, Row, info_word
from tui.presentation import age, ago, percent, size
from tui.widgets.line_view import LineView

LEAST_NAME = 12
"""Columns of a run's name that still tell whose log it is."""


class LogView(LineView):
    """Foreign text, never markup. `marked` are the lines that a person has chosen, by offset."""

    class Selected(Message):
        """The mouse selects text of a log that is followed: it would not stay where it is."""

    page: reactive[LogPage] = reactive(LogPage(), repaint=False)
    marked: reactive[tuple[int, int] | None] = reactive(None, repaint=False)

    def watch_page(self) -> None:
        self.update_lines()

    def watch_marked(self) -> None:
        self.update_lines()

    def selection_updated(self, selection: Selection | None) -> None:
        super().selection_updated(selection)
        if selection is not None and self.page.follow:
            self.post_message(self.Selected())

    def line_on(self, row: int) -> int | None:
        """The line that is shown in *row* of the widget."""
        rows = self.page.rows
        return rows[row].line if 0 <= row < len(rows) else None

    def lines(self, width: int, height: int) -> list[Line]:
        if not self.page.rows:
            said = "no line matches" if self.page.only else "nothing here"
            return [((said, "muted"),)] if not self._elsewhere_said else []
        return [self._line(row, width) for row in self.page.rows[:height]]

    @property
    def _elsewhere_said(self) -> bool:
        page = self.page
        return bool(page.problem or page.notice or page.searching)

    def _line(self, row: Row, width: int) -> Line:
        shown = cut(row.text, width, self.glyphs.ellipsis)
        chosen = self.marked is not None and self.marked[0] <= row.line <= self.marked[1]
        tone = TONES.get(row.level, "")
        if chosen:
            return ((shown or " ", f"cursor {tone}".strip()),)
        if row.line == self.page.hit:
            tone = tone or "strong"
        marks = [(first - row.begin, last - row.begin) for first, last in self._spans(row)]
        word = info_word(row.text) if row.level == "info" and row.begin == 0 else None
        return toned(shown, tone, ([word] if word else [], "accent"), (marks, "match"))

    def _spans(self, row: Row) -> tuple[tuple[int, int], ...]:
        return self.page.spans.get(row.line, ())


class LogTitle(LineView):
    """Whose log this is, how large, and how old its last line."""

    def show(self, run: str, page: LogPage, now_wall: float, *, stuck: bool) -> None:
        """Show this; *stuck* is what the run's verdict says of the log."""
        shown = (run, page.path, page.size, page.modified_wall, now_wall, stuck)
        if shown != getattr(self, "_state", None):
            self._state = shown
            self.update_lines()

    def lines(self, width: int, height: int) -> list[Line]:
        run, path, bytes_, modified, now, stuck = getattr(
            self, "_state", ("", "", 0, None, 0.0, False)
        )
        name = path.rpartition("/")[2]
        badge: Span = ("", "")
        if modified is not None and now > 0:
            badge = (f"last line {age(ago(modified, now))} ago", "muted")
            if stuck:
                badge = (f"{self.glyphs.verdict('log-stuck')} log-stuck, {badge[0]}", "warn")
        beside = max(0, width - width_of(line(name)) - 2)
        right = fit([badge, (size(bytes_), "muted")], beside, gap="  ")
        room = width - width_of(right) - 2
        left_over = room - width_of(line(name)) - 2
        whose = cut_middle(run, left_over, self.glyphs.ellipsis) if left_over >= LEAST_NAME else ""
        left = fit([(name, "strong"), (whose, "muted")], room, gap="  ")
        return [spread(left, right, width)][:height]


class LogStatus(LineView):
    """The line below the log: where one stands, what is searched, what went wrong."""

    page: reactive[LogPage] = reactive(LogPage(), repaint=False)
    complaint: reactive[str] = reactive("", repaint=False)
    """Of what is being typed: it hides everything else."""

    def watch_page(self) -> None:
        self.update_lines()

    def watch_complaint(self) -> None:
        self.update_lines()

    def lines(self, width: int, height: int) -> list[Line]:
        page = self.page
        if self.complaint:
            return [line(cut_words(self.complaint, width, self.glyphs.ellipsis), "warn")][:height]
        right = fit(self._flags(page), max(0, width // 2), gap="  ")
        text, tone = _state_of(page)
        room = width - width_of(right) - (2 if right else 0)
        left: Line = ((cut_words(text, room, self.glyphs.ellipsis), tone),)
        return [spread(left, right, width)][:height]

    def _flags(self, page: LogPage) -> list[Span]:
        return [
            (f"only {page.only}" if page.only else "", "accent"),
            (f"/{page.pattern}" if page.pattern else "", "accent"),
            ("wrap" if page.wrap else "", "muted"),
            (percent(page.percent) if page.percent is not None else "", "muted"),
        ]


def _state_of(page: LogPage) -> Span:
    if page.problem:
        return page.problem, "warn"
    if page.searching:
        return page.searching, "accent"
    if page.saving:
        return page.saving, "accent"
    if page.notice:
        return page.notice, "warn"
    if page.follow:
        return "following", "good"
    if page.only:
        return "held", ""
    return (f"held, {size(page.below)} below" if page.below else "held at the end"), ""
