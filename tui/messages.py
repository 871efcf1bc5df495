"""Messages that cross from the sampler's thread into the app.

Each carries one frozen value; Textual keeps its own bookkeeping in the message object itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.message import Message

if TYPE_CHECKING:
    from textual.screen import Screen

    from tui.state import Snapshot


class Sampled(Message):
    """The state of everything. When the app is behind, the next one in the queue replaces it."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Sampled)


class SampleFailed(Message):
    """The sampler itself failed; it goes on, and says so once a spell."""

    def __init__(self, problem: str) -> None:
        super().__init__()
        self.problem = problem

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, SampleFailed)


class ActionDone(Message):
    """What a person asked for was done, or refused: the sentence to tell."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class Answered(Message):
    """A thread that *screen* began has come to its end; it comes to the app, which outlives it.

    Textual loses in silence what is posted to a screen that is being closed.
    """

    def __init__(self, screen: Screen[Any], take: Callable[[], object], told: str) -> None:
        super().__init__()
        self.screen, self.take, self.told = screen, take, told


class Attached(Message):
    """A process that lanewatch did not start is watched now, as this run."""

    def __init__(self, run: str, asked_from: Screen[Any]) -> None:
        super().__init__()
        self.run, self.asked_from = run, asked_from
