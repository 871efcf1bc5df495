"""Runs beside each other: curves over each other, what differs, and the table of figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual.reactive import reactive

from tui.compare_text import (
    Comparison,
    Curve,
    RunFacts,
    Weight,
    cells,
    difference_values,
    letter,
)
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
    width_of,
    wrap,
)
from tui.overlay import overlay, reach, scale
from tui.presentation import duration, figure, pace, size
from tui.widgets.line_view import LineView
from tui.widgets.scrolled_lines import Scrolled

TONES = ("accent", "warn", "good", "bad", "strong", "muted")
"""Of the runs' curves, in their order."""

WEIGHTS = {Weight.DIFFERS: "bad", Weight.UNKNOWN: "warn", Weight.MIND: "muted"}
LABEL_COLUMNS = 27
FIGURES = "figures"


def tone_of(number: int) -> str:
    """The tone of one run's curve."""
    return TONES[number % len(TONES)]


@dataclass(frozen=True, slots=True)
class Picture:
    """One graph: its title, where its curves are, and how its values are written."""

    title: str
    by_iteration: Callable[[RunFacts], Curve]
    by_wall: Callable[[RunFacts], Curve]
    text: Callable[[float], str]


PICTURES = (
    Picture("loss", lambda run: run.curves.loss, lambda run: run.curves.loss_wall, figure),
    Picture("s/iteration", lambda run: run.curves.step, lambda run: run.curves.step_wall, pace),
    Picture("memory", lambda run: run.curves.memory, lambda run: run.curves.memory, size),
)


class Overlay(LineView):
    """One picture of all runs, by iteration or by time since the start."""

    comparison: reactive[Comparison | None] = reactive(None, repaint=False)
    picture: reactive[int] = reactive(0, repaint=False)
    by_wall: reactive[bool] = reactive(False, repaint=False)

    def watch_comparison(self) -> None:
        self.update_lines()

    def watch_picture(self) -> None:
        self.update_lines()

    def watch_by_wall(self) -> None:
        self.update_lines()

    def lines(self, width: int, height: int) -> list[Line]:
        if self.comparison is None:
            return []
        picture = PICTURES[self.picture]
        in_time = self.by_wall or picture.title == "memory"
        choose = picture.by_wall if in_time else picture.by_iteration
        curves = [choose(run) for run in self.comparison.runs]
        axis, bounds = reach(curves), scale(curves)
        note = ""
        if axis is not None and bounds is not None:
            end = duration(axis[1]) if in_time else f"iteration {axis[1]:.0f}"
            note = f"{picture.text(bounds[0])} to {picture.text(bounds[1])}, to {end}"
        head = heading(picture.title, width, self.glyphs.rule, note)
        if axis is None:
            return [head, line("no data", "muted")][:height]
        letters = [letter(at) for at in range(len(curves))]
        tones = [tone_of(at) for at in range(len(curves))]
        braille = self.glyphs.braille
        return [head, *overlay(curves, tones, letters, width, height - 1, braille=braille)]


class CompareVerdict(LineView):
    """The runs by their letters, and whether they can be compared."""

    comparison: reactive[Comparison | None] = reactive(None, repaint=False)
    note: reactive[str] = reactive("", repaint=False)
    """Why there is no comparison, or no newer one: said in the place of the verdict."""

    def watch_comparison(self) -> None:
        self.update_lines()

    def watch_note(self) -> None:
        self.update_lines()

    def rows_needed(self, width: int) -> int:
        """Rows that hold the runs and the whole sentence."""
        said = self.note or (f"comparable? {self.comparison.sentence}" if self.comparison else "")
        return 1 + len(wrap(said, width, 9))

    def lines(self, width: int, height: int) -> list[Line]:
        comparison = self.comparison
        if comparison is None:
            return [line(each, "muted") for each in wrap(self.note, width, height)]
        names = fit(self._names(comparison, width), width, gap="  ")
        if self.note:  # what is shown below was read before that
            why = wrap(self.note, width, height - 1, self.glyphs.ellipsis)
            return [names, *(line(each, "warn") for each in why)][:height]
        label, said = "comparable?", comparison.sentence
        tone = {"y": "good", "n": "bad" if said.startswith("no:") else "warn"}[said[0]]
        first, *others = wrap(f"{label} {said}", width, height - 1, self.glyphs.ellipsis) or [""]
        rest = first.removeprefix(label)
        shown: list[Line] = [((label, "strong"), (rest, tone))]
        return [names, *shown, *(line(each, tone) for each in others)][:height]

    def _names(self, comparison: Comparison, width: int) -> list[Span]:
        """Every run is named: first the lanes give way, then the middles of the names."""
        runs = comparison.runs
        room = (width + 2) // len(runs) - len("A ") - 2
        labels = [clean(f"{run.label} ({run.lane})" if run.lane else run.label) for run in runs]
        if width_of(tuple((each, "") for each in labels)) > room * len(runs):
            labels = [clean(run.label) for run in runs]
        if width_of(tuple((each, "") for each in labels)) > room * len(runs):
            labels = [cut_middle(each, max(1, room), self.glyphs.ellipsis) for each in labels]
        return [(f"{letter(at)} {each}", tone_of(at)) for at, each in enumerate(labels)]


class CompareTable(Scrolled):
    """What differs, then the figures; scrolls down, and sideways over its columns."""

    MORE = "j"

    comparison: reactive[Comparison | None] = reactive(None, repaint=False)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._left = 0

    def watch_comparison(self) -> None:
        self.update_lines()

    def scroll_columns(self, columns: int) -> None:
        """Begin with a later column, or an earlier one."""
        count = len(cells(self.comparison)[0]) - 1 if self.comparison else 1
        self._left = min(max(0, self._left + columns), count - 1)
        self.update_lines()

    def all_lines(self, width: int) -> list[Line]:
        comparison = self.comparison
        if comparison is None:
            return []
        found = [*self._differences(comparison, width), *self._figures(comparison, width)]
        problems = [
            f"unreadable of {run.run}: {x}" for run in comparison.runs for x in run.problems
        ]
        return [
            *found,
            *(line(cut_words(each, width, self.glyphs.ellipsis), "warn") for each in problems),
        ]

    def shown_lines(self, every: list[Line], rows: int) -> list[Line]:
        """The letters of the columns stay above their figures."""
        shown = super().shown_lines(every, rows)
        letters = self._letters_at(every)
        if shown and letters is not None and min(self._top, len(every) - rows) > letters:
            shown[0] = every[letters]
        return shown

    def _letters_at(self, every: list[Line]) -> int | None:
        """Where the letters stand: behind the heading of the figures."""
        below = (at + 1 for at, row in enumerate(every) if row and row[0][0].strip() == FIGURES)
        return next(below, None)

    def _differences(self, comparison: Comparison, width: int) -> list[Line]:
        if not comparison.differences:
            return []
        shown: list[Line] = [heading("what differs", width, self.glyphs.rule)]
        for each in comparison.differences:
            label = f"{pad(each.weight.value, 9)}{each.what}: "
            values = " | ".join(difference_values(each.values))
            text = wrap(f"{each.what}: {values}", max(10, width - 9), 3, self.glyphs.ellipsis)
            first: Span = (pad(each.weight.value, 9), WEIGHTS[each.weight])
            shown.append((first, (text[0] if text else label, "")))
            shown += [((" " * 9 + more, ""),) for more in text[1:]]
        return shown

    def _figures(self, comparison: Comparison, width: int) -> list[Line]:
        table = cells(comparison)
        label = min(LABEL_COLUMNS, max(len(row[0]) for row in table))
        columns = self._columns(table, width - label)
        shown: list[Line] = [heading(FIGURES, width, self.glyphs.rule)]
        for number, row in enumerate(table):
            name = cut_words(row[0], label, self.glyphs.ellipsis)
            spans: list[Span] = [(pad(name, label), "muted")]
            for column, room in columns:
                spans += [("  ", ""), (pad(row[column], room, right=True), "")]
            shown.append(_titled(spans) if number == 0 else tuple(spans))
        return shown

    def _columns(self, table: Sequence[Sequence[str]], width: int) -> list[tuple[int, int]]:
        """(column, its width) of those that fit, from the first one that is not scrolled away."""
        found = []
        for column in range(1 + self._left, len(table[0])):
            room = max(len(row[column]) for row in table)
            if width < room + 2:
                break
            width -= room + 2
            found.append((column, room))
        return found


def _titled(spans: Sequence[Span]) -> Line:
    """The heading: each column of a run in the tone of its curve."""
    return tuple(
        (text, tone_of(ord(text.strip()[0]) - ord("A")) if text.strip()[:1].isalpha() else tone)
        for text, tone in spans
    )
