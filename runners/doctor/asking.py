"""Ask several things at once, each at most so long; what does not answer is named, not waited for.

A driver, a disk or an engine that hangs holds one thread, which ends with the process.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Question = Callable[[], Any]


@dataclass(slots=True)
class Answers:
    """What came in time, by the questions' names."""

    given: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Why a question could not be answered."""
    unanswered: tuple[str, ...] = ()

    def update(self, later: Answers) -> None:
        """Take over what was asked later; it counts where both were asked."""
        self.given |= later.given
        self.failed |= later.failed
        self.unanswered = (*self.unanswered, *later.unanswered)

    def get(self, name: str, default: Any = None) -> Any:
        """The answer, or *default* where there is none."""
        return self.given.get(name, default)


def ask_all(questions: Mapping[str, Question], deadline_s: float) -> Answers:
    """Ask all of *questions*, each in a thread of its own, and wait for *deadline_s* at most."""
    *_, last = ask_each(questions, deadline_s)
    return last


def ask_each(questions: Mapping[str, Question], deadline_s: float) -> Iterator[Answers]:
    """As `ask_all`, with each answer as it comes: all so far, and who has not answered yet.

    The last one is the whole; there is always one.
    """
    given: dict[str, Any] = {}
    failed: dict[str, str] = {}
    arrived: queue.SimpleQueue[tuple[str, bool, Any]] = queue.SimpleQueue()

    def ask(name: str, question: Question) -> None:
        try:
            arrived.put((name, True, question()))
        except Exception as error:  # noqa: BLE001 - the rim: no probe may end the examination
            arrived.put((name, False, f"{type(error).__name__}: {error}"))

    for name, question in questions.items():
        threading.Thread(target=ask, args=(name, question), name=name, daemon=True).start()
    deadline = time.monotonic() + deadline_s
    late = tuple(questions)
    yield Answers({}, {}, late)
    while late:
        try:
            name, well, told = arrived.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return
        (given if well else failed)[name] = told
        late = tuple(each for each in late if each != name)
        yield Answers(dict(given), dict(failed), late)
