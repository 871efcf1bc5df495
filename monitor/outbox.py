"""What is to be sent, and the child processes that send it. Nothing here waits.

The rule: `poll` is called with every look and returns at once. A message stays until every channel
has taken it or was given up on, so that it also outlives this process (`messages`). No wake waits
for a tell, and nothing new waits for a channel that fails: what that has missed is sent apart.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from monitor.alert_channels import channels_path
from monitor.alert_model import Due, Kind
from monitor.alert_text import Text
from monitor.codec import decode, dumps

MOST_MESSAGES = 32
CHILD_S = 90.0
"""A child that has not ended by then is killed. It ends itself 20 s after it has loaded, and loads
for a minute on a machine that thrashes: the very night that must be told of."""
BACKOFF_S = (5.0, 15.0, 60.0, 180.0, 600.0, 600.0, 1800.0)
"""Before each further try of what a channel did not take; then it is given up."""
ANSWER_LIMIT = 1 << 16
ARGV = (sys.executable, "-P", "-m", "monitor.alert_send")
SENDER = "sender"
"""Named as the failing channel when the process that sends fails as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message and who still has to take it."""

    number: int
    severity: str
    title: str
    body: str
    channels: tuple[str, ...] | None = None
    """None: every one that there is when it is sent."""
    tries: int = 0
    reminds: str = ""
    """The trouble that it reminds of; empty: it says something new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxState:
    """What the next process must know, as plain JSON."""

    messages: tuple[Message, ...] = ()
    failing: Mapping[str, str] = field(default_factory=dict)
    number: int = 0


@dataclass(frozen=True, slots=True)
class _Sending:
    """A child at work."""

    child: subprocess.Popen[bytes]
    message: Message
    kill_s: float
    without: tuple[str, ...]
    """Channels that fail and were therefore left out: they get it by the next try."""


class Lane(StrEnum):
    """What has a child of its own at a time."""

    WAKE = "wake"
    TELL = "tell"
    AGAIN = "again"


class Outbox:
    """Sends the messages of each lane one after the other: wakes first, of equals the newest."""

    def __init__(self, remembered: object = None) -> None:
        state = _state_of(remembered)
        self._messages = list(state.messages)
        self._number = state.number
        self._due: dict[int, float] = {}
        self._sending: dict[Lane, _Sending] = {}
        self.failing: dict[str, str] = dict(state.failing)
        """Channels that did not take their last message, with the reason."""

    @property
    def empty(self) -> bool:
        """Everything was taken or given up."""
        return not self._messages

    @property
    def busy(self) -> bool:
        """A child is sending."""
        return bool(self._sending)

    def send(self, due: Due, text: Text) -> None:
        """Add an alert; what reminded of a trouble that is over now is not sent any more."""
        if due.kind in (Kind.RECOVERED, Kind.ENDED):
            self.forget_reminders(due.key if due.kind is Kind.RECOVERED else None)
        reminds = due.key if due.kind is Kind.REMINDER else ""
        self.put(str(due.severity), text.title, text.body, reminds)

    def put(self, severity: str, title: str, body: str, reminds: str = "") -> None:
        """Add a message. Of too many, the oldest that wakes nobody is left out first.

        *reminds*: the trouble that it reminds of; an earlier reminder that waits makes way for it.
        """
        if not channels_path().exists():
            return
        if reminds:
            self.forget_reminders(reminds)
        self._number += 1
        self._messages.append(
            Message(number=self._number, severity=severity, title=title, body=body, reminds=reminds)
        )
        while len(self._messages) > MOST_MESSAGES:
            busy = {each.message.number for each in self._sending.values()}
            waiting = [each for each in self._messages if each.number not in busy]
            drop = next((each for each in waiting if each.severity != "wake"), waiting[0])
            self._messages.remove(drop)

    def forget_reminders(self, key: str | None = None) -> None:
        """Send no further what reminds of *key*, or of anything: it is over or acknowledged."""
        self._messages = [
            each for each in self._messages if not each.reminds or key not in (None, each.reminds)
        ]

    def poll(self, now_s: float) -> Iterator[str]:
        """Go on with sending; gives sentences about channels that begin or cease to fail."""
        for lane in Lane:
            if lane in self._sending:
                yield from self._look_after(lane, now_s)
        for lane in Lane:
            if lane not in self._sending and (message := self._next(lane, now_s)) is not None:
                yield from self._send(lane, message, now_s)

    def remembered(self) -> dict[str, Any]:
        """What the outbox of the next process must know."""
        state = OutboxState(
            messages=tuple(self._messages), failing=self.failing, number=self._number
        )
        plain: dict[str, Any] = json.loads(dumps({"outbox": state}))["outbox"]
        return plain

    def close(self) -> None:
        """End the children: what they were sending is still among the messages."""
        for lane in tuple(self._sending):
            self._end_child(lane)

    def _next(self, lane: Lane, now_s: float) -> Message | None:
        ready = [
            each
            for each in self._messages
            if _lane_of(each) is lane and self._due.get(each.number, now_s) <= now_s
        ]
        return min(ready, key=lambda each: (each.severity != "wake", -each.number), default=None)

    def _send(self, lane: Lane, message: Message, now_s: float) -> Iterator[str]:
        fresh = lane is not Lane.AGAIN
        without = tuple(each for each in self.failing if each != SENDER) if fresh else ()
        job = {
            "title": message.title,
            "body": message.body,
            "severity": message.severity,
            "channels": message.channels,
            "without": without,
        }
        try:
            child = start_sender(job)
        except OSError as error:
            yield from self._settle(message, {SENDER: str(error.strerror or error)}, (), now_s)
            return
        self._sending[lane] = _Sending(child, message, now_s + CHILD_S, without)

    def _look_after(self, lane: Lane, now_s: float) -> Iterator[str]:
        sending = self._sending[lane]
        if sending.child.poll() is None:
            if now_s < sending.kill_s:
                return
            problems: dict[str, str | None] = {SENDER: f"no answer within {CHILD_S:.0f} s"}
        else:
            problems = _problems(sending.child)
        self._end_child(lane)
        yield from self._settle(sending.message, problems, sending.without, now_s)

    def _settle(
        self,
        message: Message,
        problems: Mapping[str, str | None],
        without: tuple[str, ...],
        now_s: float,
    ) -> Iterator[str]:
        """Keep for later what was not taken; *problems* has every channel that was tried."""
        if SENDER not in problems:
            self._forget_removed(message, problems, without)
        yield from self._note(problems)
        failed = tuple(name for name, problem in problems.items() if problem is not None)
        if message not in self._messages:
            return
        place = self._messages.index(message)
        if not (failed or without) or message.tries >= len(BACKOFF_S):
            del self._messages[place]
            self._due.pop(message.number, None)
            if failed:
                yield f"alert given up after {message.tries + 1} tries: {message.title}"
            return
        self._due[message.number] = now_s + (BACKOFF_S[message.tries] if failed else 0.0)
        left = message.channels if SENDER in failed else (*failed, *without)
        self._messages[place] = replace(message, channels=left, tries=message.tries + 1)

    def _forget_removed(
        self, message: Message, problems: Mapping[str, str | None], without: tuple[str, ...]
    ) -> None:
        """A channel that was to be tried and of which nothing was said is there no more."""
        asked = self.failing if message.channels is None else message.channels
        for name in tuple(asked):
            if name not in problems and name not in without:
                self.failing.pop(name, None)

    def _note(self, problems: Mapping[str, str | None]) -> Iterator[str]:
        if SENDER not in problems:
            self.failing.pop(SENDER, None)
        for name, problem in problems.items():
            if problem is None:
                if self.failing.pop(name, None) is not None:
                    yield f"alert channel {name} works again"
            else:
                if name not in self.failing:
                    yield f"alert channel {name} fails: {problem}; it is tried again"
                self.failing[name] = problem

    def _end_child(self, lane: Lane) -> None:
        child = self._sending.pop(lane).child
        if child.poll() is None:
            child.kill()
            # Killed, it ends at once, unless the kernel holds it: then it is left behind.
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(0.2)
        if child.stdout is not None:
            child.stdout.close()


def _lane_of(message: Message) -> Lane:
    if message.tries:
        return Lane.AGAIN
    return Lane.WAKE if message.severity == "wake" else Lane.TELL


def start_sender(job: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    """Start the process that sends, with its job on stdin. Raises OSError."""
    child = subprocess.Popen(
        ARGV,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    assert child.stdin is not None
    # A message is far smaller than a pipe: this does not wait, whatever the child does.
    with contextlib.suppress(BrokenPipeError), child.stdin:
        child.stdin.write(json.dumps(job).encode())
    child.stdin = None  # closed: nobody is to flush it again
    return child


def _problems(child: subprocess.Popen[bytes]) -> dict[str, str | None]:
    """What an ended child said, by channel."""
    assert child.stdout is not None
    os.set_blocking(child.stdout.fileno(), False)
    raw = child.stdout.read(ANSWER_LIMIT) or b""
    try:
        answer = json.loads(raw)
        if answer.get("problem"):
            return {SENDER: str(answer["problem"])}
        return {
            str(each["channel"]): None if each["ok"] else str(each["problem"])
            for each in answer["results"]
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return {SENDER: f"it ended with {child.returncode} and no answer"}


def _state_of(remembered: object) -> OutboxState:
    try:
        return decode(OutboxState, remembered) if remembered else OutboxState()
    except ValueError:
        return OutboxState()
