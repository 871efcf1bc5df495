"""The list of runs: a line each, one of them selected. The selection follows the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.reactive import reactive

from tui.lines import Line, Span, clean, cut, cut_middle, pad
from tui.run_order import ORDERS, Order
from tui.state import is_over
from tui.widgets.line_view import LineView
from tui.widgets.run_columns import Column, columns_for, run_width

if TYPE_CHECKING:
    from monitor.status_model import RunStatus

MARK = 2
"""Columns before the first one: the cursor and a space."""


class RunTable(LineView):
    """A heading and a window on the runs that scrolls so that the selected one is in it."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._runs: tuple[RunStatus, ...] = ()
        self._visible: list[RunStatus] | None = None
        self._now_wall = 0.0
        self.order: Order = ORDERS[0]
        self.live_only = False
        self._row = 0
        self._top = 0
        self._acted_on = ""

    filter_text: reactive[str] = reactive("", repaint=False)
    marked: reactive[frozenset[str]] = reactive(frozenset(), repaint=False)
    """Runs that are marked to be compared."""

    def show(self, runs: tuple[RunStatus, ...], now_wall: float) -> None:
        """Show *runs*, which come live first and newest first, in the order that was chosen."""
        chosen = self.selected
        if runs is not self._runs:
            self._runs, self._visible = runs, None
        self._now_wall = now_wall
        self._keep(chosen)

    def sort_by(self, order: Order) -> None:
        """Show the runs in this order, the cursor on the run where it was."""
        chosen = self.selected
        self.order, self._visible = order, None
        self._keep(chosen, follow=True)

    def show_live_only(self, live_only: bool) -> None:
        """Leave out what is over, or not."""
        chosen = self.selected
        self.live_only, self._visible = live_only, None
        self._keep(chosen, follow=True)

    def watch_filter_text(self) -> None:
        self._row, self._visible = 0, None
        self.update_lines()

    def watch_marked(self) -> None:
        self.update_lines()

    @property
    def visible_runs(self) -> list[RunStatus]:
        """The runs that the filter lets through, in their order."""
        if self._visible is None:
            wanted = self.filter_text.casefold()
            self._visible = [
                run
                for run in self.order.sort(self._runs)
                if not (self.live_only and is_over(run))
                and (not wanted or wanted in _searchable(run))
            ]
        return self._visible

    @property
    def selected(self) -> RunStatus | None:
        """The run under the cursor."""
        runs = self.visible_runs
        return runs[min(self._row, len(runs) - 1)] if runs else None

    def move(self, rows: int) -> None:
        """Move the cursor by *rows*, held within the list."""
        self._row = min(max(0, self._row + rows), max(0, len(self.visible_runs) - 1))
        self.update_lines()

    def act_on(self) -> RunStatus | None:
        """The run under the cursor, to be acted on: the cursor stays with it from now on."""
        chosen = self.selected
        self._acted_on = chosen.run if chosen is not None else ""
        return chosen

    def jump(self, *, to_end: bool) -> None:
        """Move the cursor to the first or the last run."""
        self._acted_on = ""
        self._row = max(0, len(self.visible_runs) - 1) if to_end else 0
        self.update_lines()

    def select_row(self, row: int) -> bool:
        """Put the cursor on what is drawn in *row* of the widget; False when there is no run."""
        index = self._top + row - 1
        if row < 1 or index >= len(self.visible_runs):
            return False
        self._row = index
        self.update_lines()
        return True

    def lines(self, width: int, height: int) -> list[Line]:
        runs = self.visible_runs
        columns = columns_for(width)
        room = max(1, height - 1)
        self._row = min(self._row, max(0, len(runs) - 1))
        self._top = min(max(self._top, self._row - room + 1), self._row)
        self._top = max(0, min(self._top, len(runs) - room))
        window = runs[self._top : self._top + room]
        return [
            self._heading(columns, width),
            *(
                self._line(run, columns, width, selected=at == self._row)
                for at, run in enumerate(window, self._top)
            ),
        ]

    def column_at(self, x: int) -> str | None:
        """The title of the column that is drawn at *x*, for a click on the heading."""
        columns = columns_for(self.size.width)
        room = run_width(columns, self.size.width - MARK)
        start = MARK
        for column in columns:
            end = start + (column.width or room)
            if start <= x < end:
                return column.title
            start = end + 2
        return None

    def _keep(self, chosen: RunStatus | None, *, follow: bool = False) -> None:
        """Leave the cursor on the run where it was, wherever that run now stands.

        At the top it stays at the top, where the newest run appears, unless it is to *follow*,
        or the run there was acted on: the next key is not to mean another one.
        """
        if chosen is not None and (self._row > 0 or follow or chosen.run == self._acted_on):
            rows = (at for at, run in enumerate(self.visible_runs) if run.run == chosen.run)
            self._row = next(rows, self._row)
        self.update_lines()

    def _heading(self, columns: list[Column], width: int) -> Line:
        room = run_width(columns, width - MARK)
        titles = [
            pad(self._title(column), column.width, right=column.right)
            if column.width
            else pad(self._left_out(self._title(column), room), room)
            for column in columns
        ]
        return ((" " * MARK + "  ".join(titles), "muted"),)

    def _left_out(self, title: str, width: int) -> str:
        """*title*, and by what runs are left out of the list."""
        why = ["live"] * self.live_only + [f"/{clean(self.filter_text)}"] * bool(self.filter_text)
        told = f"{title}: {', '.join(why)}" if why else title
        return cut(told, width, self.glyphs.ellipsis)

    def _title(self, column: Column) -> str:
        """The column by which the runs are sorted has the direction beside its title."""
        if column.title != self.order.column:
            return column.title
        glyph = self.glyphs.sorted_up if self.order.rising else self.glyphs.sorted_down
        return (
            f"{column.title}{glyph}" if len(column.title) < (column.width or 99) else column.title
        )

    def _line(self, run: RunStatus, columns: list[Column], width: int, *, selected: bool) -> Line:
        room = run_width(columns, width - MARK)
        spans: list[Span] = [(self._mark(run, selected=selected), "accent")]
        for number, column in enumerate(columns):
            text, tone = column.cell(run, self._now_wall, self.glyphs)
            if number:
                spans.append(("  ", ""))
            spans.append((self._cell(text, column, column.width or room), tone))
        if selected:
            # Two tones only: the selected row changes most often, and each tone costs bytes.
            return tuple(
                (text, f"cursor {tone}" if at == 1 else "cursor")
                for at, (text, tone) in enumerate(spans)
            )
        return tuple(spans)

    def _mark(self, run: RunStatus, *, selected: bool) -> str:
        cursor = self.glyphs.cursor if selected else " "
        return cursor + ("+" if run.run in self.marked else " ")

    def _cell(self, text: str, column: Column, width: int) -> str:
        shorten = cut_middle if column.middle else cut
        shown = shorten(clean(text), width, self.glyphs.ellipsis)  # before it is measured
        return pad(shown, width, right=column.right)


def _searchable(run: RunStatus) -> str:
    return " ".join((run.run, run.name or "", run.lane or "", run.verdict.value)).casefold()
