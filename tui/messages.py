"""Messages that cross from the sampler's thread into the app.

Each carries one frozen value; Textual keeps its own bookkeeping in the message object itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from tui.state import Snapshot


@dataclass
class Sampled(Message):
    """The state of everything. When the app is behind, the next one in the queue replaces it."""

    snapshot: Snapshot

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Sampled)


@dataclass
class SampleFailed(Message):
    """The sampler itself failed; it goes on, and says so once a spell."""

    problem: str

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, SampleFailed)


@dataclass
class Attached(Message):
    """A process that lanewatch did not start is watched now, as this run."""

    run: str
