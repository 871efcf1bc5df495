"""A diagnosis as lines: the sentence, what speaks for it, remedies, stacks. Foreign text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import events
from textual.message import Message
from textual.reactive import reactive

from tui.lines import Line, heading, line, wrap
from tui.widgets.scrolled_lines import Scrolled

if TYPE_CHECKING:
    from monitor.diagnosis.record import Diagnosis
    from monitor.diagnosis.values import Group

WAITING = (
    "Looking at it from the outside, for about four seconds: the stacks of its threads, the CPU "
    "time they use, what the kernel holds them in. It is not paused."
)
WAITING_NATIVE = (
    "Looking at it, and at the native calls inside its threads: for up to fifteen seconds. It is "
    "paused once, for some 60 ms."
)
WAITING_CONTAINER = (
    "A container beside the trainer looks at it, for up to fifteen seconds, and is removed. The "
    "trainer is not paused."
)
CALM = frozenset({"healthy", "ended", "stopped-on-request"})
FRAMES = 8
ROWS = 6
WHEEL = 3
LABEL = 11


@dataclass
class RemedyClicked(Message):
    """A remedy was clicked."""

    number: int


class DiagnosisView(Scrolled):
    """Stacks may be long."""

    MORE = "j"

    found: reactive[Diagnosis | None] = reactive(None, repaint=False)
    note: reactive[str] = reactive(WAITING, repaint=False)
    """Shown while nothing was found: what is going on, or what went wrong."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._remedies: dict[int, int] = {}
        """Row of the whole text: the number of the remedy that stands there."""

    def watch_found(self) -> None:
        self._top = 0
        self.update_lines()

    def watch_note(self) -> None:
        self.update_lines()

    def on_mouse_scroll_down(self) -> None:
        self.scroll_lines(WHEEL)

    def on_mouse_scroll_up(self) -> None:
        self.scroll_lines(-WHEEL)

    def on_click(self, event: events.Click) -> None:
        """A click on a remedy chooses it, as its number does."""
        number = self.remedy_at(self.top + event.y)
        if number is not None:
            self.post_message(RemedyClicked(number))

    def remedy_at(self, row: int) -> int | None:
        """The remedy in *row* of the whole text; none where the last row counts what is below."""
        below = len(self.all_lines(self.size.width)) - self.top - self.size.height
        last = self.top + self.size.height - 1
        return None if below > 0 and row == last else self._remedies.get(row)

    def all_lines(self, width: int) -> list[Line]:
        found = self.found
        if found is None:
            return [line(each, "muted") for each in wrap(self.note, width, ROWS)]
        rule = self.glyphs.rule
        said = found.conclusion
        shown = [line(each, _tone(found)) for each in wrap(said.sentence, width, ROWS)]
        shown.append(((said.cause, "strong"), (f"  {said.confidence}", "muted")))
        shown += [line(), heading("why", width, rule)]
        for label, texts, tone in _reasons(found):
            for number, text in enumerate(texts):
                shown += _entry("" if number else label, text, width, tone, indent=LABEL + 2)
        if said.remedies:
            shown += [line(), heading("what to do", width, rule)]
        self._remedies = {}
        for number, remedy in enumerate(said.remedies, 1):
            first = len(shown)
            shown += _entry(str(number), remedy.do, width, "accent" if remedy.commands else "muted")
            shown += _entry("", f"loses {remedy.loses}", width, "", "muted")
            self._remedies |= dict.fromkeys(range(first, len(shown)), number)
        for group in found.groups:
            shown += [line(), *_stack(group, width, rule)]
        return shown


def _reasons(found: Diagnosis) -> Iterator[tuple[str, tuple[str, ...], str]]:
    said = found.conclusion
    yield "for", said.supports, "good"
    yield "against", said.against, "warn"
    yield "would tell", (said.decides,) if said.decides else (), "accent"
    for known in said.known:
        text = f"{known.name}: {known.seen}: {known.explanation}; {known.remedy}"
        yield "known", (text,), "accent"
    yield "missing", found.facts.missing, "warn"


def _tone(found: Diagnosis) -> str:
    return "good" if found.conclusion.cause in CALM else "bad"


def _stack(group: Group, width: int, rule: str) -> Iterator[Line]:
    """Threads that stand at the same place, and where that is."""
    moved = "never moved" if group.still else "moves below"
    names = ", ".join(group.threads)
    many = "" if len(group.threads) == 1 else f"{len(group.threads)} threads"
    yield heading(moved, width, rule, many)
    yield from (line(each) for each in wrap(names, width, 2))
    for call in group.native[:FRAMES]:
        yield from _entry("", f"native {call}", width, "", "muted")
    for frame in group.frames[:FRAMES]:
        yield from _entry("", str(frame), width, "", "" if group.still else "muted")
    if len(group.frames) > FRAMES:
        yield line(f"  … and {len(group.frames) - FRAMES} calls further out", "muted")


def _entry(
    label: str, text: str, width: int, tone: str, text_tone: str = "", indent: int = 4
) -> list[Line]:
    """A label and its text, wrapped beside it."""
    space = f"  {label}".ljust(indent)
    first, *rest = wrap(text, max(10, width - len(space)), ROWS) or [""]
    lines: list[Line] = [((space, tone), (first, text_tone))]
    return lines + [((" " * len(space), ""), (each, text_tone)) for each in rest]
