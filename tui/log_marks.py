"""Where a pattern occurs in a few lines, found by the thread that draws them.

A regular expression can be without end. The screen of a whole log leaves it to a process of its
own; some hundred lines are looked at here, for so much CPU time and no more.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tui.log_text import compiled, complaint

LIMIT_CPU_S = 0.2
MOST = 100
"""Of one line."""

TOO_LONG = "the pattern takes too long: put it more simply"
Spans = tuple[tuple[int, int], ...]


class _TooLongError(Exception):
    pass


class Marks:
    """The lines among the last ones, known by their numbers, in which *pattern* occurs."""

    def __init__(self, pattern: str) -> None:
        self.trouble = (complaint(pattern) or "") if pattern else ""
        """Why nothing is found: one sentence, or nothing."""
        self._pattern = compiled(pattern) if pattern and not self.trouble else None
        self._known: dict[int, tuple[str, Spans | None]] = {}

    @property
    def lines(self) -> list[int]:
        """The numbers of the lines that match, ascending."""
        return sorted(at for at, (_, spans) in self._known.items() if spans is not None)

    def spans(self, at: int) -> Spans:
        """Where it occurs in the line with that number."""
        return (self._known[at][1] or ()) if at in self._known else ()

    def look(self, texts: Sequence[str], first: int) -> None:
        """Look at what is new in *texts*, whose first line has the number *first*."""
        if self._pattern is None:
            return
        known, self._known = self._known, {}
        try:
            with _limited():
                for at, text in enumerate(texts, first):
                    same = at in known and known[at][0] == text
                    self._known[at] = known[at] if same else (text, _found(self._pattern, text))
        except _TooLongError:
            self.trouble, self._pattern, self._known = TOO_LONG, None, {}


def _found(pattern: re.Pattern[str], text: str) -> Spans | None:
    """None where it does not occur; an empty match has no place."""
    if pattern.search(text) is None:
        return None
    spans = (each.span() for each in pattern.finditer(text))
    return tuple(span for span in spans if span[0] < span[1])[:MOST]


@contextmanager
def _limited() -> Iterator[None]:
    """Python looks for signals while it matches; they come to the main thread, which draws."""

    def give_up(*_: object) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_CPU_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
