"""Ask several things at once, each at most so long; what does not answer is named, not waited for.

A driver, a disk or an engine that hangs holds one thread, which ends with the process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
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
    given: dict[str, Any] = {}
    failed: dict[str, str] = {}

    def ask(name: str, question: Question) -> None:
        try:
            given[name] = question()
        except Exception as error:  # noqa: BLE001 - the rim: no probe may end the examination
            failed[name] = f"{type(error).__name__}: {error}"

    threads = {
        name: threading.Thread(target=ask, args=(name, question), name=name, daemon=True)
        for name, question in questions.items()
    }
    for thread in threads.values():
        thread.start()
    deadline = time.monotonic() + deadline_s
    for thread in threads.values():
        thread.join(max(0.0, deadline - time.monotonic()))
    late = tuple(name for name in threads if name not in given and name not in failed)
    return Answers(dict(given), dict(failed), late)
