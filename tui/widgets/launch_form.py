"""The fields of the launch form, a line each, with what is wrong beside them."""

from __future__ import annotations

from textual.reactive import reactive

from tui.launching.form import DEVICES, Field, Form
from tui.launching.values import Looked
from tui.lines import Line, Span, clean, cut, cut_path, line, pad, wrap
from tui.widgets.line_view import LineView

LABEL = 14
AS_RECIPE = (Field.DATA, Field.MODEL, Field.ITERATIONS, Field.SAVE, Field.AT_LIMIT)
EMPTY = {
    Field.RECIPE: "none: rows and model alone, the rest by default",
    Field.DATA: "not named",
    Field.MODEL: "not named",
    Field.DEVICE: "what the lane finds",
    Field.NAME: "none",
}
PROBLEM_ROWS = 3
CHOSEN_PROBLEM_ROWS = 9
"""Of the field under the cursor, and of the whole: what is wrong there can be read to its end."""


class LaunchForm(LineView):
    """One field is under the cursor; the screen has the keys."""

    form: reactive[Form] = reactive(Form(), repaint=False)
    looked: reactive[Looked] = reactive(Looked(), repaint=False)
    cursor: reactive[int] = reactive(0, repaint=False)
    gpus: reactive[str] = reactive("", repaint=False)
    """The machine's GPUs in words; empty where it has none."""

    def watch_form(self) -> None:
        self.update_lines()

    def watch_looked(self) -> None:
        self.update_lines()

    def watch_cursor(self) -> None:
        self.update_lines()

    def watch_gpus(self) -> None:
        self.update_lines()

    @property
    def field(self) -> Field:
        """The field under the cursor."""
        return tuple(Field)[self.cursor]

    def field_at(self, row: int) -> Field | None:
        """The field that is drawn in *row*, its problem included."""
        rows = self._window(*self.size)
        return rows[row][0] if 0 <= row < len(rows) else None

    def rows_needed(self, width: int) -> int:
        """Rows that show every field and what is wrong with it."""
        return len(self._rows(width))

    def lines(self, width: int, height: int) -> list[Line]:
        return [each for _, each in self._window(width, height)]

    def _window(self, width: int, height: int) -> list[tuple[Field | None, Line]]:
        """The rows around the cursor that there is room for."""
        rows = self._rows(width)
        at = next((n for n, (field, _) in enumerate(rows) if field is self.field), 0)
        top = max(0, min(at - height // 2, len(rows) - height))
        return rows[top : top + height]

    def _rows(self, width: int) -> list[tuple[Field | None, Line]]:
        rows: list[tuple[Field | None, Line]] = []
        for field in Field:
            rows.append((field, self._line(field, width)))
            most = CHOSEN_PROBLEM_ROWS if field is self.field else PROBLEM_ROWS
            for place, sentence in self.looked.problems:
                if place is field:
                    told = self._problem(sentence, width, LABEL + 2, most)
                    rows += [(field, each) for each in told]
        for place, sentence in self.looked.problems:
            if place is None:
                told = self._problem(sentence, width, 2, CHOSEN_PROBLEM_ROWS)
                rows += [(None, each) for each in told]
        return rows

    def _line(self, field: Field, width: int) -> Line:
        selected = field is self.field
        room = max(4, width - LABEL - 2)
        spans: list[Span] = [
            (pad(self.glyphs.cursor if selected else "", 2), "accent"),
            (pad(field.value, LABEL), "muted"),
            self._value(field, room),
        ]
        if selected:
            spans = [(text, f"cursor {tone}".strip()) for text, tone in spans]
        return tuple(spans)

    def _value(self, field: Field, room: int) -> Span:
        text, note = self.shown(field)
        text = clean(text)
        path = field in (Field.RECIPE, Field.DATA) or text.startswith("/")
        shorten = cut_path if path else cut
        tail = f"  ({note})" if note else ""
        shown = shorten(text, room - len(tail), self.glyphs.ellipsis)
        if len(tail) > room // 2 or shown != text:
            tail, shown = "", shorten(text, room, self.glyphs.ellipsis)
        return pad(shown + tail, room), "" if self.form.value(field) is not None else "muted"

    def shown(self, field: Field) -> tuple[str, str]:
        """What stands in a field, and who says so where nobody chose it."""
        value = self.form.value(field)
        if field is Field.DEVICE and value is not None and value not in DEVICES:
            return f"GPU {value}", ""
        if value is not None:
            return value, ""
        said = self.looked.says.get(field)
        if field in AS_RECIPE and said is not None:
            return said, "by the recipe" if self.form.recipe is not None else "by default"
        if field is Field.DEVICE:
            return EMPTY[field], self.gpus
        if field in AS_RECIPE and self.form.recipe is not None:
            return "as the recipe says", ""
        return EMPTY.get(field, "as the recipe says"), ""

    def _problem(self, sentence: str, width: int, indent: int, most: int) -> list[Line]:
        mark = f"{self.glyphs.verdict('failed')} "
        room = max(10, width - indent - 2)
        rows = wrap(clean(sentence), room, most, self.glyphs.ellipsis, whole=True)
        return [
            line(f"{' ' * indent}{mark if at == 0 else '  '}{each}", "bad")
            for at, each in enumerate(rows)
        ]
